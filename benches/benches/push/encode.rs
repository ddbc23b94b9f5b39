//! What it costs to make a push, without sending it. Beside each the cryptography that it can't do without.

use std::hint::black_box;

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use criterion::{Criterion, Throughput};
use suda_server::chat::push::PushKind;
use suda_server::clock::Clock;
use suda_server::notifier::{Providers, PushMetrics};
use tokio::runtime::Runtime;

use crate::sending::notice;
use crate::stand_in::StandIn;

pub(crate) fn encode(criterion: &mut Criterion, runtime: &Runtime, stand_in: &StandIn) {
    let clock = Clock::manual(Clock::system().now_ms(), 1);
    let providers = Providers::new(&stand_in.config(), clock.clone(), PushMetrics::default()).expect("providers");
    let notice = notice();
    let mut group = criterion.benchmark_group("push_encode");
    group.throughput(Throughput::Elements(1));
    let kinds = [("apns", PushKind::Apns), ("fcm", PushKind::Fcm), ("webpush", PushKind::Webpush)];
    for (name, kind) in kinds {
        let token = stand_in.token(kind);
        group.bench_function(name, |bencher| {
            bencher.iter(|| runtime.block_on(providers.request(black_box(&token), &notice)));
        });
    }
    // The same when what signs it is too old: so is each of these.
    let token = stand_in.token(PushKind::Apns);
    group.bench_function("apns_signed_anew", |bencher| {
        bencher.iter(|| {
            clock.advance_ms(3_600_000);
            runtime.block_on(providers.request(black_box(&token), &notice))
        });
    });
    let body = notice.apns().to_string();
    group.bench_function("bare/copy", |bencher| bencher.iter(|| black_box(&body).clone()));
    let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("a key");
    let random = SystemRandom::new();
    group.bench_function("bare/sign", |bencher| bencher.iter(|| pair.sign(&random, black_box(body.as_bytes()))));
    let theirs = PrivateKey::generate(&ECDH_P256).and_then(|key| key.compute_public_key()).expect("a key");
    group.bench_function("bare/agree", |bencher| {
        bencher.iter(|| {
            let own = PrivateKey::generate(&ECDH_P256).expect("a key");
            let public = own.compute_public_key().expect("a key");
            agree(&own, UnparsedPublicKey::new(&ECDH_P256, &theirs), (), |secret| Ok((secret[0], public.as_ref()[0])))
        });
    });
    group.finish();
}
