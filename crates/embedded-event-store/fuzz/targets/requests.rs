#![no_main]

use std::sync::LazyLock;

#[path = "../requests.rs"]
mod requests;

static TARGET: LazyLock<(tokio::runtime::Runtime, requests::Target)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .expect("the system gives threads");
    let target = runtime.block_on(requests::Target::start());
    (runtime, target)
});

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (runtime, target) = &*TARGET;
    runtime.block_on(target.feed(bytes));
});
