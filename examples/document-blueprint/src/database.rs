use profiling_core::profile_job;
use rusqlite::{Connection, params};

use crate::{Error, Flight};

/// How much is flown between two airports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The airport of departure.
    pub origin: String,
    /// The airport of arrival.
    pub dest: String,
    /// The flights from one to the other.
    pub flights: u32,
    /// The miles of all these flights.
    pub miles: i64,
}

/// The routes with the most flights, found by a database that is gone afterwards.
///
/// # Errors
///
/// When the table is not one of flights, or the database can't be written.
#[profile_job(
    id = 4,
    samples = 5,
    warmup = 1,
    setup(table = crate::decompress(include_bytes!("../data/flights.csv.gz")).expect("a gzip file")),
    args(&table, 10),
    verify(|routes| routes.as_ref().is_ok_and(|routes| routes.len() == 10)),
)]
pub fn busiest_routes(table: &[u8], most: u32) -> Result<Vec<Route>, Error> {
    let directory = tempfile::tempdir()?;
    let mut database = Connection::open(directory.path().join("flights.db"))?;
    database.execute_batch("CREATE TABLE flight (origin TEXT, dest TEXT, distance INTEGER)")?;

    let insertion = database.transaction()?;
    {
        let mut insert = insertion.prepare("INSERT INTO flight VALUES (?1, ?2, ?3)")?;
        for flight in csv::Reader::from_reader(table).deserialize() {
            let flight: Flight = flight?;
            insert.execute(params![flight.origin, flight.dest, flight.distance])?;
        }
    }
    insertion.commit()?;

    let mut query = database.prepare(
        "SELECT origin, dest, count(*) AS flights, sum(distance) FROM flight
         GROUP BY origin, dest ORDER BY flights DESC, origin, dest LIMIT ?1",
    )?;
    let routes = query.query_map([most], |row| {
        Ok(Route { origin: row.get(0)?, dest: row.get(1)?, flights: row.get(2)?, miles: row.get(3)? })
    })?;
    Ok(routes.collect::<Result<_, _>>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_busiest_routes() {
        let routes = busiest_routes(&crate::samples::flights(), 3).expect("a table of flights");
        let route = |origin: &str, dest: &str, flights, miles| Route {
            origin: origin.to_owned(),
            dest: dest.to_owned(),
            flights,
            miles,
        };
        assert_eq!(
            routes,
            [
                route("JFK", "LAX", 3_666, 9_073_350),
                route("LGA", "ATL", 3_457, 2_634_234),
                route("JFK", "SFO", 2_597, 6_715_842),
            ]
        );
    }

    #[test]
    fn refuses_a_table_of_something_else() {
        assert!(busiest_routes(b"name,age\nGrace,85\n", 3).is_err());
    }
}
