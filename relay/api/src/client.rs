//! A typed client of the API over HTTP.
