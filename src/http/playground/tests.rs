//! The page is safe to fill with anything, and no path leads out of its files.

use axum::{Router, body::Body, http::Request};
use tower::ServiceExt;

use super::{ASSETS, Playground};

fn playground(query: &str) -> Playground {
    Playground {
        title: "<Coffer & co>".into(),
        endpoint: "/graphql".into(),
        subscriptions: "/graphql/ws".into(),
        queries: vec![query.into()],
        key: Some("sk_test_\"</script><!--".into()),
    }
}

#[test]
fn nothing_inserted_ends_the_script() {
    let page = playground("{ a } </script><script>alert(1)</script> \u{2028}").page(false);
    assert!(page.contains("<title>&lt;Coffer &amp; co&gt;</title>"));
    assert!(page.contains(r#""key":"sk_test_\"\u003c/script\u003e\u003c!--""#), "{page}");
    assert!(!page.contains("alert(1)</script>") && !page.contains('\u{2028}'));
    assert_eq!(page.matches("</script>").count(), 2 + ASSETS.iter().filter(|asset| asset.kind == super::SCRIPT).count());
    assert!(page.contains("https://unpkg.com/graphiql@4.1.2/graphiql.min.js"));
}

#[tokio::test]
async fn installed_files_are_served_and_no_others() {
    let folder = std::env::temp_dir().join(format!("playground-{}", std::process::id()));
    for asset in &ASSETS {
        let file = folder.join(asset.path());
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, asset.path()).unwrap();
    }
    std::fs::write(folder.join("secret.txt"), "secret").unwrap();
    let router: Router = playground("{a}").routes_from(&folder);
    let get = async |path: &str| {
        let response = router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
        let status = response.status().as_u16();
        let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
        (status, String::from_utf8(body.to_vec()).unwrap())
    };
    let (status, page) = get("/playground").await;
    assert_eq!(status, 200);
    assert!(page.contains("/assets/graphiql/graphiql.min.js") && !page.contains("unpkg.com"), "{page}");
    assert_eq!(get("/assets/react/umd/react.production.min.js").await, (200, "react/umd/react.production.min.js".into()));
    assert_eq!(get("/assets/playground.js").await.0, 200);
    for path in
        ["secret.txt", "../secret.txt", "%2e%2e/secret.txt", "react/../secret.txt", "react%2f..%2fsecret.txt", "/etc/passwd", "react"]
    {
        assert_eq!(get(&format!("/assets/{path}")).await.0, 404, "{path}");
    }
    std::fs::remove_dir_all(folder).unwrap();
}
