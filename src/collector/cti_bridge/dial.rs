//! What `cti_bridge` is told to do with a call: the dial instruction.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::call::RawNumber;
use crate::number::chain::{Chain, Verdict};
use crate::number::dialplan::Pattern;
use crate::number::substring::Template;

/// Where a call goes. `${EXTEN}` in texts is the number as the rules left it.
#[derive(Debug, Clone)]
pub enum Dial {
    /// Through a gateway of FreeSWITCH.
    Gateway(String),
    /// To a registered phone.
    User(Template),
    /// To an address, `HOST:PORT`, by a profile of mod_sofia.
    Ip {
        /// The address.
        ip: String,
        /// The profile.
        sofia: String,
    },
    /// Dial strings of FreeSWITCH, tried one after the other.
    Dialstring(Vec<Template>),
    /// Nowhere.
    Hangup(Hangup),
}

/// How a call is turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hangup {
    /// With a hangup cause, by number.
    Cause(u16),
    /// With a SIP status.
    Sip(u16),
}

/// One entry of the routing table, or the fallback.
#[derive(Debug, Clone)]
pub struct Route {
    /// Which rewritten numbers it is for; `None`: all.
    pub pattern: Option<Pattern>,
    /// Where they go.
    pub dial: Dial,
    /// Channel variables to set.
    pub variables: BTreeMap<String, Template>,
}

/// The routing table.
#[derive(Debug)]
pub struct Routes {
    /// The rules for numbers called.
    pub chain: Chain,
    /// In order; the first that matches counts.
    pub routes: Vec<Route>,
    /// Where a call goes that no route is for, or that something went wrong with.
    pub fallback: Route,
}

/// What an instruction was decided by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The reply's JSON.
    pub instruction: Value,
    /// Why it is the fallback, if it is.
    pub fallback: Option<String>,
}

/// Most characters of a number to dial.
const LONGEST: usize = 64;

/// The cause of a fallback that needs a number and has none: a failure that may pass.
const TEMPORARY_FAILURE: Hangup = Hangup::Cause(41);

impl Routes {
    /// The instruction for a call to `raw`.
    ///
    /// A number becomes part of a dial string, where `,` `|` `[` `{` and others mean something, so one with anything but
    /// letters, digits and `+ * # . _ -` in it is never dialled.
    #[must_use]
    pub fn decide(&self, raw: &str) -> Decided {
        let number = match self.chain.apply(&RawNumber(raw.to_owned())) {
            Verdict::Number(number) => number,
            Verdict::Dropped { rule, reason } => {
                return self.fall_back(raw, format!("rule `{rule}` drops the number: {reason}"));
            }
        };
        let number = number.as_str();
        if !can_be_dialled(number) {
            return self.fall_back(raw, "the number cannot be dialled".to_owned());
        }
        let matching = |route: &&Route| {
            let pattern = route.pattern.as_ref();
            pattern.is_none_or(|pattern| pattern.is_match(number))
        };
        match self.routes.iter().find(matching) {
            Some(route) => Decided {
                instruction: route.instruction(number),
                fallback: None,
            },
            None => self.fall_back(raw, "no route is for the number".to_owned()),
        }
    }

    /// The configured fallback, whatever went wrong. It gets the number by the rules, else as it came, else none.
    #[must_use]
    pub fn fall_back(&self, raw: &str, why: String) -> Decided {
        let by_rules = match self.chain.apply(&RawNumber(raw.to_owned())) {
            Verdict::Number(number) => number.as_str().to_owned(),
            Verdict::Dropped { .. } => raw.to_owned(),
        };
        let instruction = if can_be_dialled(&by_rules) {
            self.fallback.instruction(&by_rules)
        } else if let Dial::Hangup(_) = self.fallback.dial {
            self.fallback.instruction("")
        } else {
            json!({"dial": hang_up(TEMPORARY_FAILURE)})
        };
        Decided {
            instruction,
            fallback: Some(why),
        }
    }
}

impl Route {
    /// The reply's JSON, as the documentation of http bridge has it.
    fn instruction(&self, number: &str) -> Value {
        let dial = match &self.dial {
            Dial::Gateway(gateway) => {
                json!({"type": "gateway", "number": number, "gateway": gateway})
            }
            Dial::User(user) => {
                json!({"type": "user", "number": number, "user": user.apply(number)})
            }
            Dial::Ip { ip, sofia } => {
                json!({"type": "ip", "number": number, "ip": ip, "sofia": sofia})
            }
            Dial::Dialstring(strings) => {
                let strings: Vec<String> =
                    strings.iter().map(|string| string.apply(number)).collect();
                // A comma goes on to the next where one fails.
                json!({"type": "dialstring", "dialstring": strings.join(",")})
            }
            Dial::Hangup(hangup) => hang_up(*hangup),
        };
        if self.variables.is_empty() {
            return json!({"dial": dial});
        }
        let variables: BTreeMap<&str, String> = self
            .variables
            .iter()
            .map(|(name, value)| (name.as_str(), value.apply(number)))
            .collect();
        json!({"variables": variables, "dial": dial})
    }
}

fn hang_up(hangup: Hangup) -> Value {
    match hangup {
        Hangup::Cause(cause) => json!({"type": "hangup", "cause": cause}),
        Hangup::Sip(status) => json!({"type": "hangup", "sipcode": status}),
    }
}

fn can_be_dialled(number: &str) -> bool {
    (1..=LONGEST).contains(&number.len())
        && number.bytes().all(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'*' | b'#' | b'.' | b'_' | b'-')
        })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Side;
    use crate::number::strip_prefix::StripPrefix;

    fn template(text: &str) -> Template {
        Template::parse(text).expect(text)
    }

    fn route(pattern: &str, dial: Dial) -> Route {
        Route {
            pattern: (!pattern.is_empty()).then(|| Pattern::parse(pattern).expect(pattern)),
            dial,
            variables: BTreeMap::new(),
        }
    }

    fn routes() -> Routes {
        let mut chain = Chain::new(Side::Destination);
        chain.push(
            "outside line",
            Box::new(StripPrefix::new("9").expect("a prefix")),
        );
        let mut named = route("_04XXXXXXXXX", Dial::Gateway("mobile".to_owned()));
        named.variables.insert(
            "origination_caller_id_number".to_owned(),
            template("0212${EXTEN:-7}"),
        );
        Routes {
            chain,
            routes: vec![
                named,
                route("_1XXX", Dial::User(template("${EXTEN:-3}"))),
                route(
                    "_00.",
                    Dial::Dialstring(vec![
                        template("sofia/gateway/one/${EXTEN:2}"),
                        template("sofia/gateway/two/${EXTEN:2}"),
                    ]),
                ),
                route(
                    "_02.",
                    Dial::Ip {
                        ip: "127.0.0.1:5060".to_owned(),
                        sofia: "external".to_owned(),
                    },
                ),
                route("_*.", Dial::Hangup(Hangup::Sip(403))),
            ],
            fallback: route("", Dial::Hangup(Hangup::Cause(17))),
        }
    }

    #[track_caller]
    fn answers(number: &str, expected: &Value, fallback: Option<&str>) {
        let decided = routes().decide(number);
        assert_eq!(&decided.instruction, expected, "{number}");
        assert_eq!(decided.fallback.as_deref(), fallback, "{number}");
    }

    #[test]
    fn the_first_route_of_the_rewritten_number_says_where_it_goes() {
        answers(
            "904140000001",
            &json!({"variables": {"origination_caller_id_number": "02120000001"},
                "dial": {"type": "gateway", "number": "04140000001", "gateway": "mobile"}}),
            None,
        );
        answers(
            "90015550100",
            &json!({"dial": {"type": "dialstring", "dialstring": "sofia/gateway/one/15550100,sofia/gateway/two/15550100"}}),
            None,
        );
        answers(
            "02125550142",
            &json!({"dial": {"type": "ip", "number": "02125550142", "ip": "127.0.0.1:5060", "sofia": "external"}}),
            None,
        );
        answers(
            "1203",
            &json!({"dial": {"type": "user", "number": "1203", "user": "203"}}),
            None,
        );
        answers(
            "*72",
            &json!({"dial": {"type": "hangup", "sipcode": 403}}),
            None,
        );
    }

    #[test]
    fn what_no_route_is_for_gets_the_fallback() {
        let busy = json!({"dial": {"type": "hangup", "cause": 17}});
        answers("7", &busy, Some("no route is for the number"));
        answers("", &busy, Some("the number cannot be dialled"));
        answers(
            "9",
            &busy,
            Some("rule `outside line` drops the number: the rule leaves an empty number"),
        );
    }

    #[test]
    fn no_number_becomes_another_part_of_a_dial_string() {
        for number in [
            "001,sofia/gateway/dear/900",
            "001|x",
            "001 2",
            "[a=b]001",
            "{a=b}001",
            "001@example.com",
            "00${x}1",
            "001\n",
            "00٣",
        ] {
            let decided = routes().decide(number);
            assert_eq!(
                decided.fallback.as_deref(),
                Some("the number cannot be dialled"),
                "{number}"
            );
            assert_eq!(decided.instruction["dial"]["type"], "hangup", "{number}");
        }
    }

    #[test]
    fn a_fallback_that_needs_a_number_hangs_up_without_one() {
        let mut routes = routes();
        routes.fallback = route("", Dial::Gateway("reserve".to_owned()));
        let decided = routes.decide("7");
        assert_eq!(
            decided.instruction,
            json!({"dial": {"type": "gateway", "number": "7", "gateway": "reserve"}})
        );
        assert_eq!(
            routes.decide("1,2").instruction,
            json!({"dial": {"type": "hangup", "cause": 41}})
        );
    }
}
