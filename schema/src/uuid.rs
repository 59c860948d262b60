//! The UUIDs of runs that were recorded before runs had any.

use uuid::Builder;
use xxhash_rust::xxh3::xxh3_128;

/// Returns a UUID of version 7 for a row of `runs`: the same row always gives the same UUID.
///
/// `started_ms` is when the run began, in milliseconds since 1970.
pub fn derive(started_ms: i64, hostname: &str, cwd: &str, command: &str, run_id: i64) -> String {
    let mut bytes = Vec::new();
    for text in [hostname, cwd, command] {
        bytes.extend((text.len() as u64).to_le_bytes());
        bytes.extend(text.as_bytes());
    }
    bytes.extend(run_id.to_le_bytes());
    let mut random = [0; 10];
    random.copy_from_slice(&xxh3_128(&bytes).to_le_bytes()[..10]);
    let milliseconds = started_ms.max(0).cast_unsigned();
    Builder::from_unix_timestamp_millis(milliseconds, &random).into_uuid().to_string()
}

#[cfg(test)]
mod tests {
    use super::derive;

    /// Derived UUIDs are in exports, so they must not change.
    #[test]
    fn derived_uuids_stay_what_they_are() {
        let uuid = derive(1_764_508_245_123, "host", "/home/me", "[\"app.py\"]", 1);
        assert_eq!(uuid, "019ad4e3-1c83-7bdb-9831-97ad039f96cf");
        for other in [
            derive(1_764_508_245_124, "host", "/home/me", "[\"app.py\"]", 1),
            derive(1_764_508_245_123, "host2", "/home/me", "[\"app.py\"]", 1),
            derive(1_764_508_245_123, "host", "/home/me", "[\"app.py\"]", 2),
            derive(1_764_508_245_123, "hos", "t/home/me", "[\"app.py\"]", 1),
        ] {
            assert_ne!(uuid, other);
        }
    }
}
