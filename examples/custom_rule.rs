//! A rule of one's own, to start from: `cargo run --example custom_rule`.
//!
//! Callers of this imaginary office dial `*55`, an account code of four digits, and the number; the last digit of the
//! code is a check digit (Luhn). No pattern can compute that, so it is a rule of its own. It is put before a rule of the
//! configuration's kind, and a few numbers go through both.

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use cdrelay::call::RawNumber;
use cdrelay::config::Side;
use cdrelay::number::chain::{Chain, Verdict};
use cdrelay::number::strip_prefix::StripPrefix;
use cdrelay::number::{NumberRule, Step};

/// Takes an account code off the number, and drops calls with a wrong one.
struct AccountCode {
    /// What is dialled before the code.
    feature_code: String,
}

/// A rule is pure and total: it sees any text at all, never panics, and gives the same step for the same number for ever.
impl NumberRule for AccountCode {
    fn apply(&self, number: &str) -> Step {
        // What does not begin with the feature code is none of this rule's business.
        let Some(dialled) = number.strip_prefix(&self.feature_code) else {
            return Step::Pass;
        };
        // `get` and not an index: the text may be shorter, and a character longer than a byte.
        let (Some(code), Some(rest)) = (dialled.get(..4), dialled.get(4..)) else {
            return Step::Drop("the account code is incomplete".to_owned());
        };
        if check_digit_is_right(code) {
            // The next rule goes on with this; `Step::Done` would end the chain here.
            Step::Next(rest.to_owned())
        } else {
            Step::Drop(format!("{code} is no account code"))
        }
    }

    /// The text goes into the ledger's record of the settings, so it says everything that changes what the rule does.
    fn describe(&self) -> String {
        format!("account code of four digits after {:?}", self.feature_code)
    }
}

/// Luhn's check digit: from the right, every second digit counts double, digit by digit; the sum ends with 0.
fn check_digit_is_right(code: &str) -> bool {
    let digits: Option<Vec<u32>> = code.chars().map(|c| c.to_digit(10)).collect();
    let Some(digits) = digits else {
        return false;
    };
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| match (place % 2, digit * 2) {
            (0, _) => *digit,
            (_, double) if double > 9 => double - 9,
            (_, double) => double,
        })
        .sum();
    sum.is_multiple_of(10)
}

fn main() {
    let mut chain = Chain::new(Side::Destination);
    chain.push(
        "account code",
        Box::new(AccountCode {
            feature_code: "*55".to_owned(),
        }),
    );
    if let Some(outside_line) = StripPrefix::new("9") {
        chain.push("outside line", Box::new(outside_line));
    }

    for number in [
        "*551230902122853348",
        "*551234902122853348",
        "*5512",
        "902122853348",
        "7222",
    ] {
        println!("{number}");
        let trace = chain.trace(&RawNumber(number.to_owned()));
        for step in &trace.steps {
            println!("    {step}");
        }
        match trace.verdict {
            Verdict::Number(number) => println!("    the CRM gets {}", number.as_str()),
            Verdict::Dropped { reason, .. } => println!("    not sent: {reason}"),
        }
    }
}
