//! A CRM on raw TCP that keys calls as NiMbox does, and remembers every request, so that nothing can be doubled unseen.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use super::golden::Golden;
use super::unruly::{Reply, Unruly};

/// Start, source, destination.
pub(crate) type Key = (String, String, String);

/// What it holds and what it was asked. A copy is another CRM in the same state.
#[derive(Debug, Clone, Default)]
pub(crate) struct Book {
    pub(crate) held: Golden,
    pub(crate) ids: BTreeMap<Key, i64>,
    pub(crate) last_id: i64,
    /// Numbers that no contact has.
    pub(crate) unknown: BTreeSet<String>,
    /// Numbers that it refuses for good.
    pub(crate) refused: BTreeSet<String>,
    /// Each key's create requests, in order, since its last deletion.
    pub(crate) asked: BTreeMap<Key, Vec<String>>,
    pub(crate) requests: usize,
    pub(crate) deletions: Vec<String>,
}

/// A running one; it ends when dropped.
pub(crate) struct Crm {
    book: Arc<Mutex<Book>>,
    front: Unruly,
}

impl Crm {
    pub(crate) fn start(book: Book) -> Self {
        Self::watched(book, |_| {})
    }

    /// `look` sees each create's key before it is answered.
    pub(crate) fn watched(book: Book, look: impl Fn(&Key) + Send + Sync + 'static) -> Self {
        let book = Arc::new(Mutex::new(book));
        let front = Unruly::start({
            let book = Arc::clone(&book);
            move |_, line| {
                let path = line.split(' ').nth(1).expect("a request line");
                let url = url::Url::parse(&format!("http://crm{path}")).expect("an address");
                let query: BTreeMap<String, String> = url.query_pairs().into_owned().collect();
                assert_eq!(query["token"], "sandbox");
                match url.path() {
                    "/direct/items/phonecalls/create" => {
                        let key = key(&query);
                        look(&key);
                        let mut book = book.lock().expect("not poisoned");
                        Reply::Json(200, book.create(key, &query, line))
                    }
                    "/direct/items/phonecalls/delete" => {
                        let mut book = book.lock().expect("not poisoned");
                        Reply::Json(200, book.delete(&query["from"], &query["to"]))
                    }
                    other => panic!("a request for {other}"),
                }
            }
        });
        Self { book, front }
    }

    pub(crate) fn url(&self) -> String {
        self.front.url()
    }

    /// Its state now.
    pub(crate) fn book(&self) -> Book {
        self.book.lock().expect("not poisoned").clone()
    }

    /// Contacts change.
    pub(crate) fn change(&self, change: impl FnOnce(&mut Book)) {
        change(&mut self.book.lock().expect("not poisoned"));
    }
}

impl Book {
    fn create(&mut self, key: Key, query: &BTreeMap<String, String>, line: &str) -> String {
        self.requests += 1;
        self.asked
            .entry(key.clone())
            .or_default()
            .push(line.to_owned());
        if self.unknown.contains(&key.2) {
            let words = "no se consiguió el número de destino en la base de datos";
            return format!(r#"{{"error":true,"errors":{{"destination":"{words}"}}}}"#);
        }
        if self.refused.contains(&key.2) {
            return r#"{"error":true,"errors":{"phonecall":"no se admite"}}"#.to_owned();
        }
        if self.held.contains_key(&key) {
            return r#"{"error":true,"errors":{"phonecall":"la llamada ya existe"}}"#.to_owned();
        }
        self.last_id += 1;
        let id = self.last_id;
        self.ids.insert(key.clone(), id);
        let duration = query["duration"].parse().expect("a duration");
        self.held.insert(key, (duration, query.get("url").cloned()));
        format!(
            r#"{{"error":false,"contactId":{},"phonecallId":{id}}}"#,
            id + 10_000
        )
    }

    /// Both dates are exclusive, and compared with the date as it was sent.
    fn delete(&mut self, from: &str, to: &str) -> String {
        self.deletions.push(format!("{from}..{to}"));
        let goes = |key: &Key| from < &key.0[..10] && &key.0[..10] < to;
        let before = self.held.len();
        self.held.retain(|key, _| !goes(key));
        self.asked.retain(|key, _| !goes(key));
        format!(r#"{{"error":false,"count":{}}}"#, before - self.held.len())
    }
}

fn key(query: &BTreeMap<String, String>) -> Key {
    let part = |name: &str| query[name].clone();
    (part("initiated"), part("source"), part("destination"))
}
