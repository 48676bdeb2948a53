//! What a configuration for BGCRM may say, and what is refused.

use cdrelay::call::PhoneNumber;
use cdrelay::config::{BgcrmConfig, BgcrmMethod, BgcrmPath, Config, OnUnknown, TargetKind};

use crate::place::{Place, loads, refuses, target};

/// Ten lines: `[target]` is on 4.
const BASE: &str = r#"[source]
url = "mysql://cdr@127.0.0.1:3306/asteriskcdrdb"
timezone = "Asia/Yekaterinburg"
[target]
kind = "bgcrm"
url = "http://127.0.0.1:9088"
class = "org.example.crm.CallBack"
username = "pbx"
password_file = "nimbox.password"
"#;

fn own(config: &Config) -> &BgcrmConfig {
    match &config.target.kind {
        TargetKind::Bgcrm(own) => own,
        TargetKind::Nimbox(_) => panic!("another kind"),
    }
}

fn with(more: &str) -> String {
    format!("{BASE}{more}\n")
}

#[track_caller]
fn without(key: &str) -> String {
    let kept: Vec<&str> = BASE
        .lines()
        .filter(|line| !line.starts_with(&format!("{key} =")))
        .collect();
    kept.join("\n") + "\n"
}

#[test]
fn the_smallest_file_runs_the_class_with_the_number_as_aon() {
    let config = loads(BASE);
    let own = own(&config);
    assert_eq!(own.path, BgcrmPath::Dynamic);
    assert_eq!(own.method, BgcrmMethod::Post);
    assert_eq!(own.on_unknown, OnUnknown::Hold);
    assert_eq!(
        own.form.of(&PhoneNumber("02125550142".to_owned())),
        "class=org.example.crm.CallBack&aon=02125550142"
    );
    assert_eq!(config.target.credentials.as_ref().unwrap().username, "pbx");
    assert_eq!(config.target.kind.to_string(), "bgcrm");
}

#[test]
fn every_key_has_its_say() {
    let text = with(
        "path = \"run.do\"\nmethod = \"get\"\non_unknown = \"resend\"\nnumber_parameter = \"phone\"\n\
         [target.parameters]\nsub = \"dndoperator\"\nqueue = \"\"",
    );
    let config = loads(&text);
    let own = own(&config);
    assert_eq!(own.path, BgcrmPath::Run);
    assert_eq!(own.method, BgcrmMethod::Get);
    assert_eq!(own.on_unknown, OnUnknown::Resend);
    assert_eq!(
        own.form.of(&PhoneNumber("1".to_owned())),
        "class=org.example.crm.CallBack&queue=&sub=dndoperator&phone=1"
    );
    assert!(
        config
            .settings_fingerprint()
            .contains("class=org.example.crm.CallBack&queue=&sub=dndoperator&phone=NUMBER")
    );
}

#[test]
fn what_belongs_to_the_other_kind_is_refused() {
    for key in [
        "token_file = \"token\"",
        "token = \"CANARY\"",
        "initiated_as = \"utc\"",
    ] {
        let name = key.split(' ').next().unwrap();
        refuses(
            &with(key),
            &format!(
                "10: `target.{name}` belongs to `target.kind = \"nimbox\"`, and the kind here is \"bgcrm\"; remove it, or correct the kind"
            ),
        );
    }
    for key in [
        "class = \"a.B\"",
        "on_unknown = \"hold\"",
        "parameters = {}",
    ] {
        let name = key.split(' ').next().unwrap();
        refuses(
            &target(key),
            &format!(
                "8: `target.{name}` belongs to `target.kind = \"bgcrm\"`, and the kind here is \"nimbox\"; remove it, or correct the kind"
            ),
        );
    }
}

#[test]
fn a_wrong_key_is_reported_with_line_and_mend() {
    refuses(
        &without("class"),
        "4: `target.class` is missing: name the class that BGCRM is to run, with its package, such as \"org.example.crm.CallBack\"",
    );
    let class = "is no class; write its package and name with dots between them, such as \"org.example.crm.CallBack\"";
    for wrong in ["a..B", "a.1B", "a/B", "a.B&x=1"] {
        refuses(
            &BASE.replace("org.example.crm.CallBack", wrong),
            &format!("7: `target.class`: \"{wrong}\" {class}"),
        );
    }
    refuses(
        &without("username").replace("password_file = \"nimbox.password\"\n", ""),
        "4: `target.username` is missing: BGCRM asks for a user with every call; write the user, and the password as `target.password_file`, CDRELAY_TARGET_PASSWORD or `target.password`",
    );
    for (key, one, other) in [
        ("path", "dynamic.do", "run.do"),
        ("method", "post", "get"),
        ("on_unknown", "hold", "resend"),
    ] {
        refuses(
            &with(&format!("{key} = \"x\"")),
            &format!("10: `target.{key}` must be \"{one}\" or \"{other}\", not \"x\""),
        );
    }
    let reserved =
        "is one that cdrelay sets by itself, or that would change the reply; use another name";
    refuses(
        &with("number_parameter = \"J_password\""),
        &format!("10: `target.number_parameter`: \"J_password\" {reserved}"),
    );
    refuses(
        &with("[target.parameters]\ncallback = \"x\"\naon = \"1\"\nsub = 5"),
        &format!(
            "11: `target.parameters`: \"callback\" {reserved}\n\
             12: `target.parameters`: \"aon\" carries the caller's number (`target.number_parameter`); give one of them another name\n\
             13: `target.parameters.sub` must be text in quotes, and is a whole number"
        ),
    );
}

#[test]
fn filters_are_lists_of_texts_by_column() {
    let config = loads(&with("[select.where]\ndcontext = [\"from-queue\"]"));
    let [filter] = &config.select.filters[..] else {
        panic!("{:?}", config.select.filters);
    };
    assert_eq!(filter.column(), "dcontext");
    assert!(filter.passes(Some("from-queue")) && !filter.passes(Some("from-internal")));
    refuses(
        &with("[select.where]\ndcontext = \"from-queue\""),
        "11: `select.where.dcontext` must be a list of texts, such as [\"one\", \"two\"], and is text",
    );
    refuses(
        &with("[select.where]\ndcontext = []"),
        "11: `select.where.dcontext` is an empty list, which no row could satisfy; name what the column may hold, or remove it",
    );
    refuses(
        &with("[select.where]\n\"a;b\" = [\"x\"]"),
        "11: `select.where`: \"a;b\" is no column name; write letters, digits, `_`, `$`, `-` and blanks, not beginning with a digit, at most 64 characters",
    );
    refuses(
        &with("[select.where]\ninitiated = [\"x\"]"),
        "11: `select.where.initiated`: the start is selected by `select.lookback`, --since and --until; remove it",
    );
    // A filter's column may be named like a template's.
    let text = with("[select.where]\nagent = [\"7\"]\n[source.columns]\nagent = \"member\"");
    assert_eq!(loads(&text).source.columns["agent"], "member");
    assert!(
        Place::new(&with("[source.columns]\nagent = \"member\""))
            .load()
            .is_err()
    );
}
