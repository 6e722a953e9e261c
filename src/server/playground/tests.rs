//! Inserted values are escaped, only listed files are served, and their versions are the pinned ones.

use axum::{Router, body::Body, http::Request};
use serde_json::Value;
use tower::ServiceExt;

use super::{ASSETS, CDN, Playground};

fn playground(query: &str) -> Playground {
    Playground {
        title: "<Coffer & co>".into(),
        endpoint: "/graphql".into(),
        subscriptions: "/graphql/ws".into(),
        queries: vec![query.into()],
        key: Some("sk_test_\"</script><!--".into()),
    }
}

async fn get(router: &Router, path: &str) -> (u16, String) {
    let response = router.clone().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap();
    let status = response.status().as_u16();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[test]
fn inserted_values_cannot_end_the_script() {
    let page = playground("{ a } </script><script>alert(1)</script> \u{2028}").page(CDN, "Loading");
    assert!(page.contains("<title>&lt;Coffer &amp; co&gt; playground</title>"));
    assert!(page.contains(r#""key":"sk_test_\"\u003c/script\u003e\u003c!--""#), "{page}");
    assert!(!page.contains("alert(1)</script>") && !page.contains('\u{2028}'));
    assert_eq!(
        page.matches("</script>").count(),
        2 + ASSETS.iter().filter(|asset| asset.kind == super::SCRIPT).count()
    );
    assert!(page.contains("https://unpkg.com/graphiql@4.1.2/graphiql.min.js"));
}

#[tokio::test]
async fn only_listed_files_are_served_once_they_are_installed() {
    let folder = std::env::temp_dir().join(format!("playground-{}", std::process::id()));
    let router: Router = playground("{a}").routes_from(&folder);
    let react = "/assets/react@18.3.1/umd/react.production.min.js";
    for installed in [false, true, false] {
        if installed {
            for asset in &ASSETS {
                let file = folder.join(asset.installed());
                std::fs::create_dir_all(file.parent().unwrap()).unwrap();
                std::fs::write(file, asset.installed()).unwrap();
            }
            std::fs::write(folder.join("secret.txt"), "secret").unwrap();
        } else {
            let _ = std::fs::remove_dir_all(&folder);
        }
        let (status, page) = get(&router, "/playground").await;
        let origin = if installed { "/assets/" } else { "https://unpkg.com/" };
        assert_eq!((status, page.contains("https://unpkg.com/")), (200, !installed), "{page}");
        for asset in &ASSETS {
            let attribute = if asset.kind == super::SHEET { "href" } else { "src" };
            let tag = format!(r#"integrity="{}" {attribute}="{origin}{}""#, asset.integrity, asset.path());
            assert_eq!(page.matches(&tag).count(), 1, "{tag} in {page}");
        }
        let served = if installed {
            (200, "react/umd/react.production.min.js".to_owned())
        } else {
            (404, String::new())
        };
        assert_eq!(get(&router, react).await, served);
        assert_eq!(get(&router, "/assets/playground.js").await.0, 200);
        for path in [
            "secret.txt",
            "../secret.txt",
            "%2e%2e/secret.txt",
            "react@18.3.1/../secret.txt",
            "react%2f..%2fsecret.txt",
            "/etc/passwd",
        ] {
            assert_eq!(get(&router, &format!("/assets/{path}")).await.0, 404, "{path}");
        }
    }
}

#[test]
fn the_versions_match_the_npm_lock_file() {
    let lock: Value = serde_json::from_str(include_str!("../../../playground/package-lock.json")).unwrap();
    for asset in &ASSETS {
        assert_eq!(
            lock["packages"][format!("node_modules/{}", asset.package)]["version"],
            asset.version,
            "{}",
            asset.package
        );
    }
}
