# The compilers and this machine's Rust with its crates: builds holdback without a network.
FROM holdback-test-compiler:local
COPY rust/ /usr/local/
COPY cargo/ /usr/local/cargo/
ENV CARGO_HOME=/usr/local/cargo CARGO_NET_OFFLINE=true
