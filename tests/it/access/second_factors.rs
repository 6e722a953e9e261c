//! The second factor: what is unavailable without it, limits on guessing and sending passcodes, and
//! authenticator apps.

use crate::support::{TestApp, on_both, person::SignedIn, socket::Socket};
use domain::Scope;
use futures_util::future::join_all;
use serde_json::{Value, json};

/// Returns a passcode that differs from this one.
fn wrong(code: &str) -> &'static str {
    if code == "000000" { "000001" } else { "000000" }
}

fn guesses(answers: &[crate::support::Answer], code: &str) -> usize {
    answers
        .iter()
        .filter(|answer| answer.body["data"]["passcodeVerify"]["userErrors"][0]["code"] == code)
        .count()
}

on_both! {
    async fn a_payload_sees_the_session_that_its_mutation_opened(app: TestApp) {
        let half = "userId user { email } twoFactor { isPassed }";
        let input = json!({ "email": "ada@example.com", "password": "correct horse", "fullName": "Ada Carter" });
        let document = format!(
            "mutation($input: UserSignUpInput!) {{ first: userSignUp(input: $input) {{ session {{ {half} \
             accessToken refreshToken }} userErrors {{ code }} query {{ credential {{ scopes }} viewer {{ id }} \
             }} }} }}"
        );
        let answer = app.gql_as(None, &document, json!({ "input": input })).await;
        // Without the second factor, the user is known and may read nothing.
        let payload = &answer.body["data"]["first"];
        let session = &payload["session"];
        assert_eq!((&session["user"], &session["twoFactor"]["isPassed"]), (&Value::Null, &json!(false)));
        assert_eq!(payload["query"], json!({ "credential": { "scopes": [] }, "viewer": null }));
        assert_eq!(answer.body["errors"][0]["extensions"]["code"], "TWO_FACTOR_REQUIRED");
        assert_eq!(answer.body["errors"][0]["path"], json!(["first", "query", "viewer"]));

        let text = |field: &str| session[field].as_str().unwrap().to_owned();
        let ada = SignedIn { user_id: text("userId"), access: text("accessToken"), refresh: text("refreshToken") };
        let (hash_code, passcode) = app.passcode(&ada, Some("2025550107")).await;
        let verify = "mutation($input: PasscodeVerifyInput!) { passcodeVerify(input: $input) { userErrors { code } \
            query { viewer { email accounts { edges { node { id } } } } users { edges { node { id } } } } } }";
        let input = json!({ "hashCode": hash_code, "passcode": passcode });
        let answer = app.gql_as(Some(&ada.access), verify, json!({ "input": input })).await;
        assert_eq!(
            answer.data()["passcodeVerify"]["query"],
            json!({ "viewer": { "email": "ada@example.com", "accounts": { "edges": [] } },
                "users": { "edges": [{ "node": { "id": ada.user_id } }] } })
        );

        // A renewed session is the user's; a partner's key that carries the request sees no more than that.
        app.customer("Bea").await;
        let renew = "mutation($input: TokenRefreshInput!) { tokenRefresh(input: $input) { session { user { email } \
            refreshToken } query { users { edges { node { id } } } } } }";
        let input = json!({ "refreshToken": ada.refresh });
        let answer = app.gql_as(Some(&app.key), renew, json!({ "input": input })).await;
        let payload = &answer.data()["tokenRefresh"];
        assert_eq!(payload["session"]["user"], json!({ "email": "ada@example.com" }));
        assert_eq!(payload["query"]["users"]["edges"], json!([{ "node": { "id": ada.user_id } }]));

        let out = "mutation($input: UserSignOutInput!) { userSignOut(input: $input) { user { id email } \
            userErrors { code } } }";
        let input = json!({ "refreshToken": payload["session"]["refreshToken"] });
        let answer = app.gql_as(Some(&ada.access), out, json!({ "input": input })).await;
        assert_eq!(
            answer.entity("userSignOut", "user"),
            &json!({ "id": ada.user_id, "email": "ada@example.com" })
        );
    }

    async fn a_user_shows_the_verified_phone_before_the_entered_one(app: TestApp) {
        let person = app.person("ada@example.com", "2025550177").await;
        let read = async |key: Option<&str>| {
            let query = "query($id: ID!) { user(id: $id) { phoneLast4 } }";
            app.gql_as(key, query, json!({ "id": person.user_id })).await.data()["user"]["phoneLast4"].clone()
        };
        assert_eq!(read(Some(&app.key)).await, "0177");
        assert_eq!(read(Some(&person.access)).await, "0177");
        let enter = "mutation($input: UserUpdateInput!) { userUpdate(input: $input) { user { phoneLast4 } \
            userErrors { code } } }";
        let input = json!({ "input": { "userId": person.user_id, "patch": { "phone": "2025550111" } } });
        let manage = app.key_for(&[Scope::Manage]).await;
        for (key, last4) in [(&app.key, "0177"), (&manage, "0111")] {
            let entered = app.gql_as(Some(key), enter, input.clone()).await;
            assert_eq!(entered.entity("userUpdate", "user")["phoneLast4"], last4);
        }
        assert_eq!(read(Some(&person.access)).await, "0177");
        let reset = "mutation($input: UserTwoFactorResetInput!) { userTwoFactorReset(input: $input) { user { \
            id } userErrors { code } } }";
        let input = json!({ "input": { "userId": person.user_id } });
        app.gql(reset, input).await.entity("userTwoFactorReset", "user");
        assert_eq!(read(Some(&app.key)).await, "0111");
    }

    async fn five_of_five_hundred_concurrent_guesses_are_evaluated(app: TestApp) {
        let person = app.sign_up("ada@example.com").await;
        let (hash_code, code) = app.passcode(&person, Some("2025550107")).await;
        let answers =
            join_all((0..500).map(|_| app.verify_passcode(&person, &hash_code, wrong(&code)))).await;
        assert_eq!((guesses(&answers, "INVALID_PASSCODE"), guesses(&answers, "INVALID_HASH_CODE")), (5, 495));
        let right = app.verify_passcode(&person, &hash_code, &code).await;
        assert_eq!(right.user_error("passcodeVerify")["code"], "INVALID_HASH_CODE");
        assert_eq!(
            app.gql_as(Some(&person.access), "{ viewer { id } }", json!({})).await.error_code(),
            "TWO_FACTOR_REQUIRED"
        );
    }

    async fn aliased_guesses_in_one_document_are_refused(app: TestApp) {
        let person = app.sign_up("ada@example.com").await;
        let (hash_code, code) = app.passcode(&person, Some("2025550107")).await;
        for guesses in [2, 4, 100] {
            let fields: Vec<String> = (0..guesses)
                .map(|n| {
                    format!(
                        "g{n}: passcodeVerify(input: {{ hashCode: \"{hash_code}\", passcode: \
                    \"{}\" }}) {{ userErrors {{ code }} }}",
                        wrong(&code)
                    )
                })
                .collect();
            let refused = app
                .gql_as(Some(&person.access), &format!("mutation {{ {} }}", fields.join(" ")), json!({}))
                .await;
            assert!(refused.body.get("data").is_none(), "{}", refused.body);
            assert_eq!(refused.error_code(), "QUERY_TOO_COMPLEX", "{}", refused.body);
        }
        app.verify_passcode(&person, &hash_code, &code).await.entity("passcodeVerify", "twoFactor");
    }

    async fn concurrent_requests_use_the_right_passcode_only_once(app: TestApp) {
        let person = app.sign_up("ada@example.com").await;
        let (hash_code, code) = app.passcode(&person, Some("2025550107")).await;
        let answers = join_all((0..5).map(|_| app.verify_passcode(&person, &hash_code, &code))).await;
        let passed = answers
            .iter()
            .filter(|answer| answer.body["data"]["passcodeVerify"]["twoFactor"]["isPassed"] == true)
            .count();
        assert_eq!((passed, guesses(&answers, "INVALID_HASH_CODE")), (1, 4));
    }

    async fn only_the_newest_passcode_works_and_only_in_its_session(app: TestApp) {
        let ada = app.sign_up("ada@example.com").await;
        let eve = app.sign_up("eve@example.com").await;
        let (first, first_code) = app.passcode(&ada, Some("2025550107")).await;
        let stolen = app.verify_passcode(&eve, &first, &first_code).await;
        assert_eq!(
            stolen.user_error("passcodeVerify"),
            &json!({
                "code": "INVALID_HASH_CODE", "path": ["hashCode"],
                "message": "Hash_code does not belong to the user.",
            })
        );
        app.backdate("passcode", "sent_at", 31).await;
        let (second, second_code) = app.passcode(&ada, Some("(202) 555-0107")).await;
        assert_eq!(
            app.verify_passcode(&ada, &first, &first_code).await.user_error("passcodeVerify")["code"],
            "INVALID_HASH_CODE"
        );
        let elsewhere = app.signed_in("ada@example.com").await;
        app.verify_passcode(&ada, &second, &second_code).await.entity("passcodeVerify", "twoFactor");
        // The other session has not passed; a new sign-in needs a new passcode, sent to the verified number.
        assert_eq!(
            app.gql_as(Some(&elsewhere.access), "{ viewer { id } }", json!({})).await.error_code(),
            "TWO_FACTOR_REQUIRED"
        );
        assert_eq!(
            app.gql_as(Some(&ada.access), "{ viewer { id } }", json!({})).await.data()["viewer"]["id"],
            json!(ada.user_id)
        );
        let another = app.send_passcode(&elsewhere, Some("2025550199")).await;
        assert_eq!(another.user_error("passcodeSend")["code"], "PHONE_VERIFIED");
    }

    async fn a_passcode_expires_after_five_minutes(app: TestApp) {
        let person = app.sign_up("ada@example.com").await;
        let (hash_code, code) = app.passcode(&person, Some("2025550107")).await;
        app.backdate("passcode", "expires_at", 301).await;
        assert_eq!(
            app.verify_passcode(&person, &hash_code, &code).await.user_error("passcodeVerify")["code"],
            "INVALID_HASH_CODE"
        );
    }

    async fn a_phone_number_belongs_to_one_user(app: TestApp) {
        let ada = app.person("ada@example.com", "2025550107").await;
        let eve = app.sign_up("eve@example.com").await;
        app.backdate("passcode", "sent_at", 31).await;
        let (hash_code, code) = app.passcode(&eve, Some("+1 202 555 0107")).await;
        assert_eq!(
            app.verify_passcode(&eve, &hash_code, &code).await.user_error("passcodeVerify"),
            &json!({
                "code": "PHONE_TAKEN", "path": null, "message": "The phone number is already taken.",
            })
        );
        assert_eq!(
            app.gql_as(Some(&eve.access), "{ viewer { id } }", json!({})).await.error_code(),
            "TWO_FACTOR_REQUIRED"
        );
        assert_eq!(
            app.gql_as(Some(&ada.access), "{ viewer { id } }", json!({})).await.data()["viewer"]["id"],
            json!(ada.user_id)
        );
    }

    async fn passcodes_are_limited_to_one_per_half_minute_and_five_per_hour(app: TestApp) {
        let person = app.sign_up("ada@example.com").await;
        let at_once = join_all((0..10).map(|_| app.send_passcode(&person, Some("2025550107")))).await;
        let sent = at_once
            .iter()
            .filter(|answer| answer.body["data"]["passcodeSend"]["passcode"]["phoneLast4"] == "0107")
            .count();
        let refused = at_once
            .iter()
            .filter(|answer| answer.body["errors"][0]["extensions"]["code"] == "RATE_LIMITED")
            .count();
        assert_eq!((sent, refused), (1, 9));
        for _ in 0..4 {
            app.backdate("passcode", "sent_at", 31).await;
            app.send_passcode(&person, Some("2025550107")).await.entity("passcodeSend", "passcode");
        }
        app.backdate("passcode", "sent_at", 31).await;
        assert_eq!(app.send_passcode(&person, Some("2025550107")).await.error_code(), "RATE_LIMITED");
        assert_eq!(
            app.send_passcode(&person, Some("2025550108")).await.error_code(),
            "RATE_LIMITED",
            "five passcodes per user and hour"
        );
        let other = app.sign_up("eve@example.com").await;
        assert_eq!(
            app.send_passcode(&other, Some("2025550107")).await.error_code(),
            "RATE_LIMITED",
            "five passcodes per phone number and hour"
        );
        app.send_passcode(&other, Some("2025550109")).await.entity("passcodeSend", "passcode");
        app.backdate("passcode", "sent_at", 3_600).await;
        app.send_passcode(&person, Some("2025550107")).await.entity("passcodeSend", "passcode");
        assert_eq!(app.outbox().await.len(), 7);
    }

    async fn a_socket_gets_no_events_before_the_second_factor(app: TestApp) {
        let person = app.sign_up("ada@example.com").await;
        let mut socket = Socket::join(&app, Some(&person.access)).await;
        socket.subscribe("1", "subscription { events(after: \"0\") { id } }", json!({})).await;
        let refused = socket.hear().await.unwrap();
        assert!(refused.to_string().contains("TWO_FACTOR_REQUIRED"), "{refused}");
    }

    async fn an_authenticator_app_is_a_second_factor(app: TestApp) {
        let person = app.sign_up("ada@example.com").await;
        let enrollment = enroll(&app, &person).await;
        let secret = enrollment.entity("totpEnroll", "enrollment")["secret"].as_str().unwrap().to_owned();
        let uri = enrollment.body["data"]["totpEnroll"]["enrollment"]["uri"].as_str().unwrap();
        assert!(
            uri.starts_with("otpauth://totp/Coffer:ada%40example.com?")
                && uri.contains(&format!("secret={secret}")),
            "{uri}"
        );
        let wrong = verify(&app, &person, "000000x").await;
        assert_eq!(wrong.user_error("totpVerify")["code"], "INVALID_PASSCODE");
        let first = code(&secret, 0);
        assert_eq!(
            verify(&app, &person, &first).await.entity("totpVerify", "twoFactor"),
            &json!({ "isPassed": true, "methods": ["TOTP"], "phoneLast4": null })
        );
        assert_eq!(
            app.gql_as(Some(&person.access), "{ viewer { twoFactorMethods } }", json!({})).await.data()["viewer"]
                ["twoFactorMethods"],
            json!(["TOTP"])
        );

        // Once the app is set up, a password alone can neither replace it nor bypass it with a text message.
        let thief = app.signed_in("ada@example.com").await;
        assert_eq!(enroll(&app, &thief).await.error_code(), "TWO_FACTOR_REQUIRED");
        assert_eq!(app.send_passcode(&thief, Some("2025550108")).await.error_code(), "TWO_FACTOR_REQUIRED");
        assert_eq!(remove(&app, &thief).await.error_code(), "TWO_FACTOR_REQUIRED");
        assert_eq!(
            verify(&app, &thief, &first).await.user_error("totpVerify")["code"],
            "INVALID_PASSCODE",
            "a code is accepted only once"
        );
        verify(&app, &thief, &code(&secret, 30)).await.entity("totpVerify", "twoFactor");
        assert_eq!(enroll(&app, &thief).await.user_error("totpEnroll")["code"], "TOTP_ENROLLED");
        assert_eq!(remove(&app, &thief).await.entity("totpRemove", "twoFactor")["methods"], json!([]));
        assert_eq!(
            verify(&app, &thief, &code(&secret, 60)).await.user_error("totpVerify")["code"],
            "TOTP_NOT_ENROLLED"
        );
    }

    async fn a_user_sets_up_a_new_phone_after_a_reset(app: TestApp) {
        let person = app.person("ada@example.com", "2025550107").await;
        let reset = "mutation($input: UserTwoFactorResetInput!) { userTwoFactorReset(input: $input) { user \
            { id } userErrors { code } } }";
        let input = json!({ "input": { "userId": person.user_id } });
        assert_eq!(
            app.gql(reset, input).await.entity("userTwoFactorReset", "user")["id"],
            json!(person.user_id)
        );
        assert_eq!(
            app.gql_as(Some(&person.access), "{ viewer { id } }", json!({})).await.error_code(),
            "UNAUTHENTICATED"
        );
        let again = app.signed_in("ada@example.com").await;
        app.backdate("passcode", "sent_at", 31).await;
        let (hash_code, passcode) = app.passcode(&again, Some("2025550177")).await;
        let passed = app.verify_passcode(&again, &hash_code, &passcode).await;
        assert_eq!(passed.entity("passcodeVerify", "twoFactor")["phoneLast4"], "0177");
    }

    /// Five passcodes that other users sent to a number must not block the user who has verified it.
    async fn other_users_cannot_exhaust_the_passcodes_of_a_verified_phone(app: TestApp) {
        app.person("ada@example.com", "2025550107").await;
        for turn in 0..5 {
            let stranger = app.sign_up(&format!("eve{turn}@example.com")).await;
            app.backdate("passcode", "sent_at", 31).await;
            app.send_passcode(&stranger, Some("2025550107")).await;
        }
        let ada = app.signed_in("ada@example.com").await;
        app.send_passcode(&ada, None).await.entity("passcodeSend", "passcode");
    }

    /// A passcode proves only the number that it was sent to, not one that was verified in the meantime.
    async fn a_passcode_to_another_phone_does_not_pass_for_the_verified_one(app: TestApp) {
        let ada = app.sign_up("ada@example.com").await;
        let thief = app.signed_in("ada@example.com").await;
        let (thiefs, thiefs_code) = app.passcode(&thief, Some("2025550166")).await;
        app.backdate("passcode", "sent_at", 31).await;
        let (adas, adas_code) = app.passcode(&ada, Some("2025550107")).await;
        revive(&app, &thiefs).await;
        app.verify_passcode(&ada, &adas, &adas_code).await.entity("passcodeVerify", "twoFactor");
        assert_eq!(
            app.verify_passcode(&thief, &thiefs, &thiefs_code).await.user_error("passcodeVerify")["code"],
            "INVALID_HASH_CODE"
        );
        assert_eq!(
            app.gql_as(Some(&thief.access), "{ viewer { id } }", json!({})).await.error_code(),
            "TWO_FACTOR_REQUIRED"
        );
    }

    /// A thief who knows only the password and requested a passcode before the app was set up must not be
    /// able to use it afterwards.
    async fn a_passcode_from_before_an_app_was_set_up_does_not_bypass_it(app: TestApp) {
        let person = app.sign_up("ada@example.com").await;
        let thief = app.signed_in("ada@example.com").await;
        let (hash_code, passcode) = app.passcode(&thief, Some("2025550166")).await;
        let enrollment = enroll(&app, &person).await;
        let secret = enrollment.entity("totpEnroll", "enrollment")["secret"].as_str().unwrap().to_owned();
        verify(&app, &person, &code(&secret, 0)).await.entity("totpVerify", "twoFactor");
        assert_eq!(
            app.verify_passcode(&thief, &hash_code, &passcode).await.error_code(),
            "TWO_FACTOR_REQUIRED"
        );
        assert_eq!(
            app.gql_as(Some(&thief.access), "{ viewer { id } }", json!({})).await.error_code(),
            "TWO_FACTOR_REQUIRED"
        );
    }

    async fn a_passcode_must_be_exactly_six_digits_and_every_attempt_counts(app: TestApp) {
        let person = app.sign_up("ada@example.com").await;
        let (hash_code, code) = app.passcode(&person, Some("2025550107")).await;
        let (start, end) = code.split_at(3);
        for written in [
            format!("{start} {end}"),
            format!("{start}-{end}"),
            format!(" {code}"),
            String::new(),
            format!("{code}\0"),
        ] {
            let refused = app.verify_passcode(&person, &hash_code, &written).await;
            assert_eq!(refused.user_error("passcodeVerify")["code"], "INVALID_PASSCODE", "{written:?}");
        }
        let sixth = app.verify_passcode(&person, &hash_code, &code).await;
        assert_eq!(
            sixth.user_error("passcodeVerify")["code"],
            "INVALID_HASH_CODE",
            "five attempts were counted"
        );
    }

    async fn an_app_code_must_be_exactly_six_digits_and_every_attempt_counts(app: TestApp) {
        let person = app.sign_up("ada@example.com").await;
        let enrollment = enroll(&app, &person).await;
        let secret = enrollment.entity("totpEnroll", "enrollment")["secret"].as_str().unwrap().to_owned();
        let shown = code(&secret, 0);
        let (start, end) = shown.split_at(3);
        for written in [
            format!("{start} {end}"),
            format!("{start}-{end}"),
            format!(" {shown} "),
            String::new(),
            format!("{shown}0"),
        ] {
            let refused = verify(&app, &person, &written).await;
            assert_eq!(refused.user_error("totpVerify")["code"], "INVALID_PASSCODE", "{written:?}");
        }
        assert_eq!(
            verify(&app, &person, &code(&secret, 0)).await.error_code(),
            "RATE_LIMITED",
            "five attempts were counted"
        );
        app.backdate("limit_use", "blocked_until", 31).await;
        verify(&app, &person, &code(&secret, 0)).await.entity("totpVerify", "twoFactor");
    }

    async fn app_codes_cannot_be_guessed_by_many_requests(app: TestApp) {
        let person = app.sign_up("ada@example.com").await;
        let enrollment = enroll(&app, &person).await;
        let secret = enrollment.entity("totpEnroll", "enrollment")["secret"].as_str().unwrap().to_owned();
        let answers = join_all((0..100).map(|_| verify(&app, &person, "12345"))).await;
        let evaluated = answers
            .iter()
            .filter(|answer| answer.body["data"]["totpVerify"]["userErrors"][0]["code"] == "INVALID_PASSCODE")
            .count();
        let throttled = answers
            .iter()
            .filter(|answer| answer.body["errors"][0]["extensions"]["code"] == "RATE_LIMITED")
            .count();
        assert_eq!((evaluated, throttled), (5, 95));
        assert_eq!(verify(&app, &person, &code(&secret, 0)).await.error_code(), "RATE_LIMITED");
        app.backdate("limit_use", "blocked_until", 31).await;
        verify(&app, &person, &code(&secret, 0)).await.entity("totpVerify", "twoFactor");
    }
}

async fn enroll(app: &TestApp, person: &SignedIn) -> crate::support::Answer {
    app.gql_as(
        Some(&person.access),
        "mutation { totpEnroll { enrollment { secret uri } userErrors { code } } }",
        json!({}),
    )
    .await
}

async fn remove(app: &TestApp, person: &SignedIn) -> crate::support::Answer {
    app.gql_as(
        Some(&person.access),
        "mutation { totpRemove { twoFactor { methods } userErrors { code } } }",
        json!({}),
    )
    .await
}

async fn verify(app: &TestApp, person: &SignedIn, code: &str) -> crate::support::Answer {
    let verify = "mutation($input: TotpVerifyInput!) { totpVerify(input: $input) { twoFactor { isPassed \
        methods phoneLast4 } userErrors { code } } }";
    let input: Value = json!({ "code": code });
    app.gql_as(Some(&person.access), verify, json!({ "input": input })).await
}

/// Returns the code that the app shows this many seconds from now.
fn code(secret: &str, seconds: u64) -> String {
    let secret = totp_rs::Secret::try_from_base32(secret).unwrap();
    let app = totp_rs::Builder::new().with_secret(secret).with_account_name("ada").build().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    app.generate(now + seconds).to_string()
}

/// Marks a passcode as unused, as if it had been sent at the same moment as another.
async fn revive(app: &TestApp, hash_code: &str) {
    use sea_orm::ConnectionTrait;
    let tx = app.app.db.write().await.unwrap();
    tx.execute_unprepared(&format!("UPDATE passcode SET used_at = NULL WHERE hash_code = '{hash_code}'"))
        .await
        .unwrap();
    tx.commit().await.unwrap();
}
