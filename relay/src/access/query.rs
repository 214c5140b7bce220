//! The parameters of a publish or play URL, wherever the client put them.

use url::form_urlencoded;

/// How many parameters are looked at; further ones are ignored.
const PARAMETERS_MAX: usize = 32;

/// Parameters in the order they came. Secret: some of them are tokens.
#[derive(Clone, Default)]
pub struct Query(Vec<(String, String)>);

impl Query {
    /// Those of an application and a stream name as a client sent them: it may have put its query in either.
    #[must_use]
    pub fn of(app: &str, name: &str) -> Self {
        let queries = [app, name].into_iter().filter_map(|part| Some(part.split_once('?')?.1));
        let pairs = queries.flat_map(|query| form_urlencoded::parse(query.as_bytes()));
        Self(pairs.take(PARAMETERS_MAX).map(|(key, value)| (key.into_owned(), value.into_owned())).collect())
    }

    /// The first value of this name.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&str> {
        self.pairs().find(|(name, _)| *name == key).map(|(_, value)| value)
    }

    /// All of them.
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

impl std::fmt::Debug for Query {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Query({} parameters)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_is_found_wherever_the_client_put_its_query() {
        for (app, name) in [("live", "room?grant=g&incarnation=2"), ("live?grant=g&incarnation=2", "room")] {
            let query = Query::of(app, name);
            assert_eq!((query.get("grant"), query.get("incarnation")), (Some("g"), Some("2")));
            assert!(!format!("{query:?}").contains('g') || !format!("{query:?}").contains("grant"));
        }
    }

    #[test]
    fn of_two_parameters_of_one_name_the_first_counts_and_of_many_the_first_32() {
        let many: String = (0..100).map(|number| format!("a{number}=x&")).collect();
        let query = Query::of("live", &format!("room?a0=first&{many}"));
        assert_eq!((query.get("a0"), query.get("a99"), query.pairs().count()), (Some("first"), None, 32));
    }
}
