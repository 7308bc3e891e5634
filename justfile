# Short names for what is done often: `just` lists them.

_default:
    @just --list --unsorted

# The proxy with its built-in defaults; arguments are passed on
run *arguments:
    cargo run --release -- run {{ arguments }}

# A simulated QStash, a guard before it, and what becomes of requests
demo:
    cargo run --release -- demo

# All tests, or those whose names hold these words
test *arguments:
    ./test {{ arguments }}

# Format, lints and documentation, as .ci/run sees them
lint:
    cargo fmt --check
    cargo clippy --all-targets --locked -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --locked

# Bans, licences and sources of dependencies
deny:
    cargo deny --locked check bans licenses sources

# Linters of everything in deploy/, and of scripts
deploy:
    deploy/check

# The container image
image tag="qstash-guard":
    docker build -f deploy/docker/Dockerfile -t {{ tag }} .

# Everything that must hold before a change lands
ci:
    .ci/run
