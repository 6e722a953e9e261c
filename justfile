# Format, lints, licences: what CI checks
check:
    scripts/check

# All tests; PostgreSQL's half runs where it is installed
test *arguments:
    cargo test --workspace --locked {{arguments}}

# Rewrite the layout
fmt:
    cargo fmt --all

# Rewrite schema.graphql from the code
schema:
    cargo run --locked --quiet -- schema > schema.graphql.new && mv schema.graphql.new schema.graphql

# Start the server
run *arguments:
    cargo run --locked -- serve {{arguments}}
