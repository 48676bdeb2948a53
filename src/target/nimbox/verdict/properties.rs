//! What any JSON, any bytes and any `Retry-After` come to.

use std::time::Duration;

use chrono::{DateTime, Utc};
use proptest::prelude::*;
use serde_json::Value;

use super::super::strict::StrictReply;
use super::{Answer, Reading, classify};
use crate::target::Outcome;
use crate::target::http::Secrets;

/// Any JSON, with the keys that mean something more often than chance would give them.
fn json() -> impl Strategy<Value = Value> {
    let text = || prop_oneof!["ya existe|no|s3cr3t-canary", "\\PC{0,8}"];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 5, move |inner| {
        let key = prop_oneof![
            "error|errors|token|destination|source|message|contactId|phonecallId|count",
            "\\PC{0,6}"
        ];
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(key, inner, 0..6).prop_map(Value::from_iter),
        ]
    })
}

fn read(status: u16, body: &[u8], retry_after: Option<&str>, now: DateTime<Utc>) -> Outcome {
    classify(
        &Answer {
            status,
            body,
            retry_after,
            location: None,
        },
        &Reading {
            already_exists: &["ya existe".to_owned()],
            hidden: &Secrets::default().with("s3cr3t-canary"),
            now,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 1_000, ..ProptestConfig::default() })]

    #[test]
    fn any_json_is_judged_by_its_error_alone(value in json(), status in 100..600_u16) {
        let body = value.to_string();
        let outcome = read(status, body.as_bytes(), None, DateTime::UNIX_EPOCH);
        let shown = format!("{outcome:?}");
        prop_assert!(!shown.contains("s3cr3t-canary"), "{}", shown);
        let error = value.get("error").and_then(Value::as_bool);
        let success = matches!(status, 200 | 201);
        prop_assert_eq!(
            matches!(&outcome, Outcome::Delivered(receipt) if !receipt.existing),
            success && error == Some(false)
        );
        let heard = success || (400..500).contains(&status) && !matches!(status, 401 | 403 | 407 | 408 | 425 | 429);
        match outcome {
            Outcome::Delivered(receipt) if receipt.existing => prop_assert!(heard && error == Some(true) && body.contains("ya existe")),
            Outcome::Rejected { .. } | Outcome::Unmatched { .. } => prop_assert!(heard && error == Some(true)),
            Outcome::Delivered(_) | Outcome::NoVerdict(_) | Outcome::Broken { .. } => {}
            Outcome::NotSent => prop_assert!(false, "a reply that was never asked for"),
        }
        if let Ok(strict) = StrictReply::read(body.as_bytes()) {
            prop_assert_eq!(Some(strict.error), error);
            let integer = value.get("phonecallId").and_then(Value::as_i64);
            prop_assert!(integer.is_none() || strict.id("phonecallId") == integer);
        } else {
            prop_assert_eq!(error, None, "{}", body);
        }
    }

    #[test]
    fn any_bytes_are_no_delivery_unless_they_are_json(body in proptest::collection::vec(any::<u8>(), 0..80), status in 100..600_u16) {
        if let Outcome::Delivered(_) = read(status, &body, None, DateTime::UNIX_EPOCH) {
            prop_assert!(serde_json::from_slice::<Value>(&body).is_ok());
        }
    }

    #[test]
    fn a_date_to_wait_for_is_waited_for_in_each_of_its_forms(now in 0..4_000_000_000_i64, wait in -100_000..200_000_i64) {
        let now = DateTime::from_timestamp(now, 0).expect("a time");
        let at = now + chrono::TimeDelta::seconds(wait);
        let stated = Duration::from_secs(wait.clamp(0, 86_400).unsigned_abs());
        let mut forms = vec![at.format("%a, %d %b %Y %H:%M:%S GMT").to_string(), at.format("%a %b %e %H:%M:%S %Y").to_string()];
        // Two digits of a year mean 1970 to 2069.
        if (1970..2070).contains(&chrono::Datelike::year(&at)) {
            forms.push(at.format("%A, %d-%b-%y %H:%M:%S GMT").to_string());
        }
        for form in forms {
            let Outcome::NoVerdict(trouble) = read(503, b"", Some(&form), now) else {
                panic!("a 503 decided");
            };
            prop_assert_eq!(trouble.retry_after, Some(stated), "{} at {}", form, now);
        }
    }
}
