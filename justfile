# Check format, lints and licenses
check:
    scripts/check

# Run all tests, on PostgreSQL too if it is installed
test *arguments:
    cargo test --workspace --locked {{arguments}}

# Compare the speed with that of a hand-written server
bench *arguments:
    scripts/bench {{arguments}}

# Format the code
fmt:
    cargo fmt --all

# Regenerate schema.graphql
schema:
    cargo run --locked --quiet -- schema > schema.graphql.new && mv schema.graphql.new schema.graphql

# Start the server
run *arguments:
    cargo run --locked -- serve {{arguments}}
