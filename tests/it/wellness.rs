//! The documented wellness API: accounts of users who sign in, and their second factor.

use crate::support::{Answer, TestApp, on_both};
use serde_json::{Value, json};
use std::time::Instant;

#[track_caller]
fn assert_response(answer: &Answer, status: u16, body: &Value) {
    assert_eq!((answer.status, &answer.body), (status, body));
}

fn error_body(detail: &str, code: &str) -> Value {
    json!({ "detail": detail, "code": code })
}

on_both! {
    async fn equivalent_unicode_passwords_are_the_same_password(app: TestApp) {
        let sign_up = |email: &str, password: &str| Some(json!({ "email": email, "password": password }));
        let made = app
            .wellness(None, "POST", "/account/v1/users", sign_up("ada@example.com", "pa\u{308}ssword"))
            .await;
        assert_eq!(made.status, 200, "{}", made.body);
        for same in ["p\u{e4}ssword", "pa\u{308}ssword", "\u{ff50}\u{e4}ssword"] {
            assert_eq!(
                app.wellness(None, "POST", "/account/v1/auth/token", sign_up("ada@example.com", same))
                    .await
                    .status,
                200,
                "{same}"
            );
        }
        assert_eq!(
            app.wellness(None, "POST", "/account/v1/auth/token", sign_up("ada@example.com", "password"))
                .await
                .status,
            403
        );
        // Four letters, each typed as two characters.
        let short = app
            .wellness(None, "POST", "/account/v1/users", sign_up("eve@example.com", &"a\u{308}".repeat(4)))
            .await;
        assert_response(&short, 422, &error_body("password must have 8 to 128 characters", "invalid-input"));
    }

    async fn sign_up_to_sign_out_works_as_documented(app: TestApp) {
        // User: create.
        let body = json!({ "email": "test@test.com", "password": "new_password", "full_name": "Test Testing",
            "date_of_birth": "1994-06-28" });
        let created = app.wellness(None, "POST", "/account/v1/users", Some(body.clone())).await;
        let id = created.body["id"].as_str().unwrap().to_owned();
        assert_response(
            &created,
            200,
            &json!({ "id": id, "email": "test@test.com", "full_name": "Test Testing",
                "date_of_birth": "1994-06-28" }),
        );
        let again = app
            .wellness(
                None,
                "POST",
                "/account/v1/users/",
                Some(json!({ "email": "TEST@test.com", "password": "new_password" })),
            )
            .await;
        assert_response(&again, 409, &error_body("Email already has be taken.", "email-has-been-taken"));

        // Token: create.
        let path = "/account/v1/auth/token";
        let wrong = app
            .wellness(None, "POST", path, Some(json!({ "email": "test@test.com", "password": "password" })))
            .await;
        assert_response(
            &wrong,
            403,
            &error_body("Unable to login with given credentials.", "invalid-credentials"),
        );
        let credentials = json!({ "email": "unknown@test.com", "password": "password" });
        let unknown = app.wellness(None, "POST", path, Some(credentials)).await;
        assert_eq!((unknown.status, &unknown.body), (wrong.status, &wrong.body));
        let token = app
            .wellness(
                None,
                "POST",
                path,
                Some(json!({ "email": "test@test.com", "password": "new_password" })),
            )
            .await;
        let (access, refresh) = (
            token.body["access"].as_str().unwrap().to_owned(),
            token.body["refresh"].as_str().unwrap().to_owned(),
        );
        assert_response(&token, 200, &json!({ "user_id": id, "refresh": refresh, "access": access }));

        // No other request succeeds before the second factor.
        let user = format!("/account/v1/users/{id}");
        let second = error_body("User is not two factor authenticated.", "not-two-factor-authenticated");
        for (method, path, body) in [
            ("GET", user.clone(), None),
            ("PUT", user.clone(), Some(json!({ "full_name": "Test New" }))),
            ("GET", format!("{user}/send_data_email"), None),
            ("POST", format!("{user}/send_data_email"), None),
        ] {
            assert_response(&app.wellness(Some(&access), method, &path, body).await, 403, &second);
        }

        // Two factor: send and verify.
        let sms = format!("/two_factor_authentication/v1/one_time_passcode/{id}/sms");
        let (send, verify) = (format!("{sms}/send"), format!("{sms}/verify"));
        let none = app.wellness(Some(&access), "POST", &send, None).await;
        assert_response(
            &none,
            422,
            &error_body("User does not have a verified phone number.", "does-not-have-verified-phone-number"),
        );
        let invalid =
            app.wellness(Some(&access), "POST", &send, Some(json!({ "phone_number": "0125550107" }))).await;
        assert_response(&invalid, 422, &error_body("Invalid phone number.", "invalid-phone-number"));
        let sent =
            app.wellness(Some(&access), "POST", &send, Some(json!({ "phone_number": "2025550107" }))).await;
        let hash_code = sent.body["hash_code"].as_str().unwrap().to_owned();
        assert_response(&sent, 200, &json!({ "hash_code": hash_code, "phone_last_digits": "0107" }));
        let text = app.outbox().await[0].clone();
        assert_eq!(
            (&text["to"], &text["channel"], &text["purpose"]),
            (&json!("+12025550107"), &json!("SMS"), &json!("PASSCODE"))
        );
        let code: String = text["text"].as_str().unwrap().chars().filter(char::is_ascii_digit).collect();
        assert_eq!(code.len(), 6, "{text}");
        let other = if code == "123456" { "654321" } else { "123456" };
        let guess = |hash_code: &str, passcode: &str| json!({ "hash_code": hash_code, "passcode": passcode });
        let wrong = app.wellness(Some(&access), "POST", &verify, Some(guess("gAAAAABdqL", other))).await;
        assert_response(&wrong, 422, &error_body("Invalid hash code.", "invalid-hash-code"));
        let wrong = app.wellness(Some(&access), "POST", &verify, Some(guess(&hash_code, other))).await;
        assert_response(&wrong, 422, &error_body("Invalid passcode.", "invalid-passcode"));
        let right = app.wellness(Some(&access), "POST", &verify, Some(guess(&hash_code, &code))).await;
        assert_response(&right, 200, &json!({ "passcode_status": "approved" }));
        let replayed = app.wellness(Some(&access), "POST", &verify, Some(guess(&hash_code, &code))).await;
        assert_response(&replayed, 422, &error_body("Invalid hash code.", "invalid-hash-code"));
        let verified =
            app.wellness(Some(&access), "POST", &send, Some(json!({ "phone_number": "2025550108" }))).await;
        assert_response(
            &verified,
            422,
            &error_body("User already has a verified phone number.", "already-has-verified-phone-number"),
        );

        // User: the same access token works now. An e-mail address in the body is ignored.
        let amended = app.wellness(Some(&access), "PUT", &user, Some(json!({
            "email": "new_email@test.com", "full_name": "Test New", "date_of_birth": "1994-06-28", "gender": "male",
        }))).await;
        assert_response(&amended, 200, &json!({ "full_name": "Test New", "date_of_birth": "1994-06-28" }));
        let shown = app.wellness(Some(&access), "GET", &format!("{user}/"), None).await;
        assert_response(
            &shown,
            200,
            &json!({
                "email": "test@test.com", "full_name": "Test New", "date_of_birth": "1994-06-28",
                "gender": "male", "employer": null,
            }),
        );
        let started = Instant::now();
        let mailed = app.wellness(Some(&access), "GET", &format!("{user}/send_data_email"), None).await;
        assert_eq!((mailed.status, &mailed.body), (204, &json!({ "not_json": "" })));
        let mail = app.outbox().await[0].clone();
        assert_eq!(mail["text"], "Name: Test New\nE-mail: test@test.com\nGender: male");
        let soon = app.wellness(Some(&access), "POST", &format!("{user}/send_data_email"), None).await;
        assert_response(&soon, 429, &error_body("Too many requests", "too-many-requests"));
        let wait: u64 = soon.headers["retry-after"].to_str().unwrap().parse().unwrap();
        // What is left of a minute.
        assert!((59 - started.elapsed().as_secs()..=60).contains(&wait), "{wait}");

        // Token: refresh, then delete. Access tokens stay valid, the refresh token does not.
        let refreshed = app
            .wellness(None, "POST", "/account/v1/auth/token/refresh", Some(json!({ "refresh": refresh })))
            .await;
        let second_access = refreshed.body["access"].as_str().unwrap().to_owned();
        assert_response(&refreshed, 200, &json!({ "access": second_access }));
        let out = app.wellness(Some(&access), "DELETE", path, Some(json!({ "refresh": refresh }))).await;
        assert_eq!((out.status, &out.body), (204, &json!({ "not_json": "" })));
        let ended = app
            .wellness(None, "POST", "/account/v1/auth/token/refresh", Some(json!({ "refresh": refresh })))
            .await;
        assert_response(
            &ended,
            403,
            &error_body("Unable to login with given credentials.", "invalid-credentials"),
        );
        for access in [access, second_access] {
            assert_eq!(app.wellness(Some(&access), "GET", &user, None).await.status, 200);
        }
    }

    async fn passcodes_and_phone_numbers_of_other_users_are_refused_as_documented(app: TestApp) {
        let ada = app.person("ada@example.com", "2025550107").await;
        let eve = app.sign_up("eve@example.com").await;
        app.backdate("passcode", "sent_at", 31).await;
        let (adas, adas_code) = app.passcode(&ada, None).await;
        let verify = format!("/two_factor_authentication/v1/one_time_passcode/{}/sms/verify", eve.user_id);
        let guess =
            |hash_code: &str, passcode: &str| Some(json!({ "hash_code": hash_code, "passcode": passcode }));
        let stolen = app.wellness(Some(&eve.access), "POST", &verify, guess(&adas, &adas_code)).await;
        assert_response(
            &stolen,
            422,
            &error_body("Hash_code does not belong to the user.", "invalid-hash-code"),
        );
        app.backdate("passcode", "sent_at", 31).await;
        let (eves, eves_code) = app.passcode(&eve, Some("12025550107")).await;
        let taken = app.wellness(Some(&eve.access), "POST", &verify, guess(&eves, &eves_code)).await;
        assert_response(
            &taken,
            422,
            &error_body("Phone number already has be taken.", "phone-number-has-been-taken"),
        );
        let adas_path = verify.replace(&eve.user_id, &ada.user_id);
        assert_response(
            &app.wellness(Some(&eve.access), "POST", &adas_path, guess(&adas, &adas_code)).await,
            404,
            &error_body("Not found.", "not-found"),
        );
        app.verify_passcode(&ada, &adas, &adas_code).await.entity("passcodeVerify", "twoFactor");
    }

    async fn an_invitation_sets_the_employer_and_is_bound_to_its_email(app: TestApp) {
        let invite = "mutation($input: InvitationCreateInput!) { invitationCreate(input: $input) {
            invitation { id email employer { companyName } } userErrors { code path } } }";
        let employer = json!({ "companyName": "Test Company", "retirementInstitutionId": "test id" });
        let invited =
            app.gql(invite, json!({ "input": { "email": "Test@Test.com", "employer": employer } })).await;
        let id = invited.entity("invitationCreate", "invitation")["id"].as_str().unwrap().to_owned();
        assert_eq!(invited.body["data"]["invitationCreate"]["invitation"]["email"], "test@test.com");
        let mail = app.outbox().await[0].clone();
        assert_eq!((&mail["to"], &mail["purpose"]), (&json!("test@test.com"), &json!("INVITATION")));
        assert!(mail["text"].as_str().unwrap().ends_with(&id));

        assert_response(
            &app.wellness(None, "GET", &format!("/account/v1/invitation/{id}"), None).await,
            200,
            &json!({ "email": "test@test.com" }),
        );
        let missing = "/account/v1/invitation/8a138805-4aec-4343-88ce-063ba479c850";
        assert_response(
            &app.wellness(None, "GET", missing, None).await,
            404,
            &error_body("Not found.", "not-found"),
        );

        let sign_up =
            |email: &str| json!({ "email": email, "password": "new_password", "invitation_id": id });
        let other = app.wellness(None, "POST", "/account/v1/users", Some(sign_up("other@test.com"))).await;
        assert_response(
            &other,
            422,
            &error_body("This invitation belongs to a different email.", "belongs-to-different-email"),
        );
        let created = app.wellness(None, "POST", "/account/v1/users", Some(sign_up("TEST@test.com"))).await;
        assert_eq!(created.status, 200, "{}", created.body);
        let person = app.signed_in_with("test@test.com", "new_password").await;
        let (hash_code, code) = app.passcode(&person, Some("2025550107")).await;
        app.verify_passcode(&person, &hash_code, &code).await.entity("passcodeVerify", "twoFactor");
        let shown = app
            .wellness(Some(&person.access), "GET", &format!("/account/v1/users/{}", person.user_id), None)
            .await;
        assert_response(
            &shown,
            200,
            &json!({
                "email": "TEST@test.com", "full_name": null, "date_of_birth": null, "gender": null,
                "employer": { "company_name": "Test Company", "retirement_401k_plaid_institution_id": "test id" },
            }),
        );
        assert_response(
            &app.wellness(None, "GET", &format!("/account/v1/invitation/{id}"), None).await,
            404,
            &error_body("Not found.", "not-found"),
        );
        let used = app
            .wellness(
                None,
                "POST",
                "/account/v1/users",
                Some(json!({ "email": "third@test.com", "password": "new_password", "invitation_id": id })),
            )
            .await;
        assert_response(&used, 404, &error_body("Not found.", "not-found"));
    }

    async fn an_existing_user_gets_a_login_by_invitation(app: TestApp) {
        let customer = app.customer("Ada").await;
        let invite = "mutation($input: InvitationCreateInput!) { invitationCreate(input: $input) { \
            invitation { id } userErrors { code path } } }";
        let invited = app
            .gql(invite, json!({ "input": { "email": "ada@example.com", "userId": customer.user_id } }))
            .await;
        let id = invited.entity("invitationCreate", "invitation")["id"].clone();
        let signed_up = app
            .sign_up_with(
                json!({ "email": "ada@example.com", "password": "correct horse", "invitationId": id }),
            )
            .await;
        assert_eq!(signed_up.entity("userSignUp", "session")["userId"], json!(customer.user_id));
        let ada = app.signed_in("ada@example.com").await;
        let (hash_code, code) = app.passcode(&ada, Some("2025550107")).await;
        app.verify_passcode(&ada, &hash_code, &code).await.entity("passcodeVerify", "twoFactor");
        let own = "{ viewer { id firstName status twoFactorMethods accounts { edges { node { id } } } \
            bankAccounts { edges { node { id } } } } }";
        assert_eq!(
            app.gql_as(Some(&ada.access), own, json!({})).await.body,
            json!({ "data": { "viewer": {
            "id": customer.user_id, "firstName": "Ada", "status": "APPROVED", "twoFactorMethods": ["SMS"],
            "accounts": { "edges": [{ "node": { "id": customer.account_id } }] },
            "bankAccounts": { "edges": [{ "node": { "id": customer.bank_account_id } }] },
        } } })
        );
        let deposit = app
            .gql_as(
                Some(&ada.access),
                crate::support::DEPOSIT_CREATE,
                json!({ "input": customer.deposit("own", "25.00") }),
            )
            .await;
        assert_eq!(deposit.entity("depositCreate", "transfer")["status"], "PENDING");
        let over_rest =
            app.wellness(Some(&ada.access), "GET", &format!("/v1/users/{}", customer.user_id), None).await;
        assert_eq!((over_rest.status, &over_rest.body["first_name"]), (200, &json!("Ada")));
    }

    async fn a_forgotten_password_is_reset_with_the_mailed_token(app: TestApp) {
        let person = app.person("test@test.com", "2025550107").await;
        let always =
            json!({ "detail": "You will receive an email with further instructions.", "code": "email-sent" });
        assert_response(
            &app.wellness(
                None,
                "POST",
                "/account/v1/password_recovery",
                Some(json!({ "email": "unknown@test.com" })),
            )
            .await,
            200,
            &always,
        );
        assert_eq!(app.outbox().await.len(), 1, "no mail is sent");
        let first = recovery(&app, &always).await;
        let token = recovery(&app, &always).await;
        let reset = |token: &str, password: &str| json!({ "token": token, "password": password });
        let path = "/account/v1/password_recovery/reset";
        let worthless = error_body("The token is invalid or expired. Request a new one.", "invalid-token");
        for token in ["CDDD70B1-5F1B-4FAC-9BAD-04B814C1E3A7", "nope", &first] {
            assert_response(
                &app.wellness(None, "PATCH", path, Some(reset(token, "new-password"))).await,
                422,
                &worthless,
            );
        }
        let short = app.wellness(None, "PATCH", path, Some(reset(&token, "short"))).await;
        assert_response(&short, 422, &error_body("password must have 8 to 128 characters", "invalid-input"));
        let done = app.wellness(None, "PATCH", path, Some(reset(&token, "new-password"))).await;
        assert_eq!((done.status, &done.body), (204, &json!({ "not_json": "" })));
        assert_response(
            &app.wellness(None, "PATCH", path, Some(reset(&token, "newer-password"))).await,
            422,
            &worthless,
        );
        // All tokens issued before are invalid.
        let user = format!("/account/v1/users/{}", person.user_id);
        let denied = error_body("Authentication credentials are missing or invalid.", "not-authenticated");
        assert_response(&app.wellness(Some(&person.access), "GET", &user, None).await, 401, &denied);
        assert_eq!(
            app.refreshed(&person.refresh).await.user_error("tokenRefresh")["code"],
            "INVALID_CREDENTIALS"
        );
        assert_eq!(
            app.sign_in("test@test.com", "correct horse").await.user_error("userSignIn")["code"],
            "INVALID_CREDENTIALS"
        );
        let session = app.sign_in("test@test.com", "new-password").await;
        assert_eq!(
            session.entity("userSignIn", "session")["twoFactor"],
            json!({ "isPassed": false, "methods": ["SMS"], "phoneLast4": "0107" })
        );
    }

    async fn errors_have_the_format_of_the_api_at_the_path(app: TestApp) {
        let person = app.person("a@example.com", "2025550107").await;
        let other = app.sign_up("b@example.com").await;
        let denied = error_body("Authentication credentials are missing or invalid.", "not-authenticated");
        let missing = error_body("Not found.", "not-found");
        let user = format!("/account/v1/users/{}", person.user_id);
        assert_response(&app.wellness(None, "GET", &user, None).await, 401, &denied);
        assert_response(&app.wellness(Some("a.b.c"), "GET", &user, None).await, 401, &denied);
        assert_response(&app.wellness(Some("nonsense"), "GET", &user, None).await, 401, &denied);
        assert_response(&app.wellness(Some(&person.refresh), "GET", &user, None).await, 401, &denied);
        for path in [
            format!("/account/v1/users/{}", other.user_id),
            "/account/v1/users/8a138805-4aec-4343-88ce-063ba479c850".to_owned(),
            "/account/v1/nothing".to_owned(),
            "/savings/v1/nothing".to_owned(),
        ] {
            assert_response(&app.wellness(Some(&person.access), "GET", &path, None).await, 404, &missing);
        }
        let sms = format!("/two_factor_authentication/v1/one_time_passcode/{}/sms/send", other.user_id);
        assert_response(
            &app.wellness(Some(&person.access), "POST", &sms, Some(json!({ "phone_number": "2025550109" })))
                .await,
            404,
            &missing,
        );
        let method = app.wellness(Some(&person.access), "DELETE", &user, None).await;
        assert_eq!((method.status, &method.body["code"]), (405, &json!("method-not-allowed")));
        for (body, detail) in [
            (json!({ "password": "long enough" }), "email is required"),
            (json!({ "email": "x@example.com" }), "password is required"),
            (json!({ "email": "x", "password": "long enough" }), "email must be an e-mail address"),
            (json!({ "email": "x@example.com", "password": 12_345_678 }), "password must be a string"),
            (
                json!({ "email": "x@example.com", "password": "long enough", "date_of_birth": "28.06.1994" }),
                "date_of_birth must be a date as YYYY-MM-DD",
            ),
            (
                json!({ "email": "x@example.com", "password": "long enough",
                    "social_security_number": "000-12-3456" }),
                "social_security_number must be a valid social security number",
            ),
        ] {
            let refused = app.wellness(None, "POST", "/account/v1/users", Some(body.clone())).await;
            assert_eq!(
                (refused.status, &refused.body["code"]),
                (422, &json!("invalid-input")),
                "{body} {}",
                refused.body
            );
            assert_eq!(refused.body["detail"], detail);
        }
        let unreadable = crate::support::send(
            app.anonymous("POST", "/account/v1/users").header("content-type", "application/json").body("{"),
        )
        .await;
        assert_response(&unreadable, 422, &error_body("The body is not a JSON object.", "invalid-input"));
        assert_eq!(
            app.sign_in("x@example.com", "long enough").await.user_error("userSignIn")["code"],
            "INVALID_CREDENTIALS"
        );
        let brokerage = app.wellness(None, "GET", "/v1/nothing", None).await;
        assert_eq!((brokerage.status, &brokerage.body["error"]["type"]), (404, &json!("not_found")));
    }
}

async fn recovery(app: &TestApp, always: &Value) -> String {
    assert_response(
        &app.wellness(
            None,
            "POST",
            "/account/v1/password_recovery",
            Some(json!({ "email": "Test@test.com" })),
        )
        .await,
        200,
        always,
    );
    let mail = app.outbox().await[0].clone();
    assert_eq!((&mail["to"], &mail["purpose"]), (&json!("test@test.com"), &json!("PASSWORD_RECOVERY")));
    mail["text"].as_str().unwrap().rsplit(' ').next().unwrap().to_owned()
}
