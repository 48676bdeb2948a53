//! A target that sends nothing, for `--dry-run`.

use chrono::NaiveDate;
use futures_util::future::{BoxFuture, FutureExt as _};

use super::{CrmTarget, DeleteBounds, Deletion, Keying, Outcome, Probe};
use crate::call::WireForm;

/// Wraps a target: calls are not delivered and nothing is deleted; what asks without changing anything passes through.
#[derive(Debug)]
pub struct DryRun<T>(pub T);

impl<T: CrmTarget> CrmTarget for DryRun<T> {
    fn deliver<'a>(&'a self, _call: &'a WireForm) -> BoxFuture<'a, Outcome> {
        std::future::ready(Outcome::NotSent).boxed()
    }

    fn probe(&self) -> BoxFuture<'_, Probe> {
        self.0.probe()
    }

    fn delete_bounds(&self, from: NaiveDate, to: NaiveDate) -> Option<DeleteBounds> {
        self.0.delete_bounds(from, to)
    }

    fn delete(&self, _bounds: DeleteBounds) -> BoxFuture<'_, Deletion> {
        let reason = "nothing is deleted in a dry run".to_owned();
        std::future::ready(Deletion::NotSent { reason }).boxed()
    }

    fn keying(&self) -> Keying {
        self.0.keying()
    }

    fn requests(&self) -> Option<u64> {
        self.0.requests()
    }
}
