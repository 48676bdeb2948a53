//! What a run puts in order after it has settled its window.

use crate::call::ColumnTime;
use crate::cdr::when::day_bounds;
use crate::cdr::window::Window;
use crate::command::purge::horizon;
use crate::config::Config;
use crate::ledger::{Ledger, LedgerError, Purpose};
use crate::report::Mode;
use crate::target::Deletion;

/// What a run leaves in order that settled its window: deletions that were interrupted over days of it have nothing open
/// any more, and a full run drops what is older than `ledger.retention`.
pub(super) async fn tidy(
    config: &Config,
    ledger: &Ledger,
    window: Window,
    mode: Mode,
    now: i64,
) -> Result<(), LedgerError> {
    let zone = config.source.timezone;
    for deletion in ledger.unfinished_deletions().await? {
        let first = day_bounds(*deletion.days.start(), zone).start;
        let last = day_bounds(*deletion.days.end(), zone).end;
        let covered = window.since <= first && last <= window.until;
        if covered && deletion.purpose != Purpose::Rebuild {
            let reason = "interrupted; a later run settled these days".to_owned();
            ledger
                .finish_deletion(deletion.id, now, Deletion::Unknown { reason })
                .await?;
        }
    }
    if mode == Mode::Full {
        let before = horizon(now, config.ledger.retention);
        ledger.purge(ColumnTime(before), before).await?;
    }
    Ok(())
}
