//! Cost of authentication: `cargo bench --bench authentication`.

#![expect(clippy::expect_used, clippy::panic, reason = "a benchmark without its fixture cannot run")]

use divan::Bencher;
use domain::{
    Actor, Scope, Who,
    access::{keys, logins, partners, sessions},
    app::{App, Setup, start},
    kernel::{
        db::Db,
        secrets::{Secret, Vault},
    },
    people::user_changes::PersonPatch,
};
use entity::partner::Mode;
use migration::{Migrator, MigratorTrait};
use std::{hint::black_box, sync::LazyLock};
use tokio::runtime::Runtime;

struct Fixture {
    runtime: Runtime,
    app: App,
    access: String,
    key: String,
}

static FIXTURE: LazyLock<Fixture> = LazyLock::new(|| {
    let runtime = Runtime::new().expect("a runtime");
    let (app, access, key) = runtime.block_on(async {
        let file = std::env::temp_dir().join(format!("coffer-bench-{}.db", std::process::id()));
        let db = Db::open(&format!("sqlite:{}", file.display())).await.expect("a database");
        Migrator::up(db.for_migrations(), None).await.expect("the migrations");
        let vault =
            Vault::unlock(&db, &Secret::new([7; 32]), None).await.expect("its keys").expect("the right key");
        let app = start(db, vault, Setup::default());
        let partner =
            partners::find_or_create(&app, partners::SANDBOX, Mode::Sandbox).await.expect("a partner");
        let key = keys::issue(&app, &partner, &Scope::ALL).await.expect("a key").reveal().clone();
        let new = logins::NewSignUp {
            email: "ada@example.com".to_owned(),
            password: Secret::new("correct horse".to_owned()),
            profile: PersonPatch::default(),
            invitation_id: None,
        };
        let (_, issued) = logins::sign_up(&app, &Actor::default(), new).await.expect("a session");
        let tx = app.db.write().await.expect("a transaction");
        let Ok(Who::User(user)) = sessions::authenticate(&app, issued.access.reveal()).await else {
            panic!("the session is not valid")
        };
        sessions::pass_second_factor(&tx, user.session_id).await.expect("a second factor");
        tx.commit().await.expect("a commit");
        (app, issued.access.reveal().clone(), key)
    });
    Fixture { runtime, app, access, key }
});

/// A signed-in request with a session that is cached.
#[divan::bench]
fn access_token(bencher: Bencher) {
    let fixture = &*FIXTURE;
    bencher.bench(|| {
        let who = fixture.runtime.block_on(sessions::authenticate(&fixture.app, black_box(&fixture.access)));
        assert!(matches!(who, Ok(Who::User(user)) if user.two_factor));
    });
}

/// An API key that is cached.
#[divan::bench]
fn api_key(bencher: Bencher) {
    let fixture = &*FIXTURE;
    bencher.bench(|| {
        let who = fixture.runtime.block_on(keys::authenticate(&fixture.app, black_box(&fixture.key)));
        assert!(matches!(who, Ok(Who::Partner(_))));
    });
}

/// A token with a wrong signature.
#[divan::bench]
fn forged_token(bencher: Bencher) {
    let fixture = &*FIXTURE;
    let (body, signature) = fixture.access.rsplit_once('.').unwrap_or_default();
    let other = if signature.starts_with('A') { 'B' } else { 'A' };
    let forged = format!("{body}.{other}{}", &signature[1..]);
    bencher.bench(|| {
        assert!(fixture.runtime.block_on(sessions::authenticate(&fixture.app, black_box(&forged))).is_err());
    });
}

fn main() {
    divan::main();
}
