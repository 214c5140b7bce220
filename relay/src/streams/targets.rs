//! All targets of one stream, each with a number that no other target of the stream ever gets.

use super::target::Target;
use api::Problem;
use serde::{Deserialize, Serialize};

/// How many targets one stream may have.
const TARGETS_MAX: usize = 8;

/// A stream's targets by number, from 0, in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Stored", into = "Numbered")]
pub struct Targets {
    rows: Vec<(u32, Target)>,
    next: u32,
}

/// What became of an addition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Added {
    /// It got this number.
    New(u32),
    /// The stream had it already, under this number.
    Known(u32),
}

impl Targets {
    /// Parses all targets of a start.
    ///
    /// # Errors
    /// A 422 [`Problem`] that names the first one that cannot be used, as `targets[0]`; it repeats no key.
    pub fn parse(texts: &[String]) -> Result<Self, Problem> {
        if texts.len() > TARGETS_MAX {
            return Err(too_many("targets"));
        }
        let mut targets = Self::default();
        for (at, text) in texts.iter().enumerate() {
            let refused = |why: String| Problem::field(&format!("targets[{at}]"), why);
            match targets.add(Target::parse(text).map_err(&refused)?)? {
                Added::New(_) => {}
                Added::Known(before) => {
                    return Err(refused(format!("this is the same target as targets[{before}]")));
                }
            }
        }
        Ok(targets)
    }

    /// One more.
    ///
    /// # Errors
    /// A 422 [`Problem`] if there are as many as there may be.
    pub fn add(&mut self, target: Target) -> Result<Added, Problem> {
        if let Some(number) = self.number_of(&target) {
            return Ok(Added::Known(number));
        }
        if self.rows.len() >= TARGETS_MAX {
            return Err(too_many("url"));
        }
        let number = self.next;
        self.next += 1;
        self.rows.push((number, target));
        Ok(Added::New(number))
    }

    /// Takes one out; whether it was there.
    pub fn remove(&mut self, number: u32) -> bool {
        let before = self.rows.len();
        self.rows.retain(|(its, _)| *its != number);
        self.rows.len() < before
    }

    /// Has exactly these from now on; those that it had keep their numbers.
    pub fn replace(&mut self, others: Self) {
        let mut rows = Vec::with_capacity(others.rows.len());
        for (_, target) in others.rows {
            let number = self.number_of(&target).unwrap_or_else(|| {
                self.next += 1;
                self.next - 1
            });
            rows.push((number, target));
        }
        self.rows = rows;
    }

    /// Each with its number.
    pub fn iter(&self) -> impl Iterator<Item = (u32, &Target)> {
        self.rows.iter().map(|(number, target)| (*number, target))
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    fn number_of(&self, target: &Target) -> Option<u32> {
        self.iter().find(|(_, its)| its.url().key() == target.url().key()).map(|(number, _)| number)
    }
}

/// Of these the first eight; one that comes twice counts once.
impl FromIterator<Target> for Targets {
    fn from_iter<I: IntoIterator<Item = Target>>(all: I) -> Self {
        let mut targets = Self::default();
        for target in all {
            if targets.add(target).is_err() {
                break;
            }
        }
        targets
    }
}

fn too_many(field: &str) -> Problem {
    Problem::field(field, format!("a stream has at most {TARGETS_MAX} targets"))
}

/// As kept.
#[derive(Serialize, Deserialize)]
struct Numbered {
    next: u32,
    rows: Vec<(u32, Target)>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Stored {
    Numbered(Numbered),
    /// Of a time when targets could not be added or removed.
    List(Vec<Target>),
}

impl From<Stored> for Targets {
    fn from(stored: Stored) -> Self {
        match stored {
            Stored::Numbered(Numbered { next, rows }) => Self { next, rows },
            Stored::List(targets) => targets.into_iter().collect(),
        }
    }
}

impl From<Targets> for Numbered {
    fn from(targets: Targets) -> Self {
        Self { next: targets.next, rows: targets.rows }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(name: &str) -> Target {
        Target::parse(&format!("rtmp://a.example/live/{name}")).unwrap()
    }

    fn numbers(targets: &Targets) -> Vec<u32> {
        targets.iter().map(|(number, _)| number).collect()
    }

    fn parse(texts: &[&str]) -> Result<Targets, Problem> {
        let texts: Vec<_> = texts.iter().map(|text| (*text).to_owned()).collect();
        Targets::parse(&texts)
    }

    #[test]
    fn a_target_that_cannot_be_used_is_named_by_its_place_and_its_key_is_not_repeated() {
        let good = "rtmp://a.example/live/s3cret";
        let long = format!("rtmp://a.example/live/s3cret?{}", "x".repeat(2048));
        for (texts, field) in [
            (vec!["http://a.example/live/s3cret"], "targets[0]"),
            (vec![good, "rtmp://a.example/s3cret"], "targets[1]"),
            (vec![good, "RTMP://A.example:1935/live//s3cret?x"], "targets[1]"),
            (vec!["rtmp://a.example/live/s3cret?\n"], "targets[0]"),
            (vec![&long], "targets[0]"),
            (vec![good; 9], "targets"),
        ] {
            let problem = parse(&texts).unwrap_err();
            assert_eq!((problem.status, problem.field.as_deref()), (422, Some(field)), "{texts:?}");
            assert!(!problem.detail.contains("s3cret"), "{}", problem.detail);
        }
    }

    #[test]
    fn a_number_is_never_given_to_another_target_not_even_after_a_restart() {
        let mut targets: Targets = ["a", "b"].map(target).into_iter().collect();
        assert_eq!(targets.add(target("b")), Ok(Added::Known(1)));
        assert!(targets.remove(1) && !targets.remove(1));
        let text = serde_json::to_string(&targets).unwrap();
        let mut targets: Targets = serde_json::from_str(&text).unwrap();
        assert_eq!(targets.add(target("c")), Ok(Added::New(2)));
        assert_eq!(numbers(&targets), [0, 2]);
        targets.replace(["c", "d", "a"].map(target).into_iter().collect());
        assert_eq!(numbers(&targets), [2, 3, 0], "those that stay keep theirs");
    }

    #[test]
    fn a_list_without_numbers_is_still_read() {
        let text = r#"["rtmp://a.example:1935/live/a","rtmp://a.example:1935/live/b"]"#;
        assert_eq!(numbers(&serde_json::from_str::<Targets>(text).unwrap()), [0, 1]);
    }

    #[test]
    fn the_ninth_is_refused() {
        let mut targets: Targets = (0..9).map(|number| target(&number.to_string())).collect();
        assert_eq!(numbers(&targets).len(), 8);
        assert_eq!(targets.add(target("more")).unwrap_err().field.as_deref(), Some("url"));
    }
}
