//! Links the extension so that it is never taken out of a process.

fn main() {
    // SQLite unloads an extension whose start failed. What that start registered in the connection, and what
    // the standard library left in threads, still leads to it.
    println!("cargo::rustc-link-arg-cdylib=-Wl,-z,nodelete");
    println!("cargo::rerun-if-changed=build.rs");
}
