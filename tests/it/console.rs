//! The console in a real browser, driven over WebDriver: what a person sees, clicks and types.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};

use reqwest::{Client, Method};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::{Value, json};

use crate::support::{AMIGO_ADMINISTRATOR, Answer, Data, SUPER_ADMINISTRATOR, Server, USER, log};

const ORG: &str = "acme";

/// A browser of its own for a test; dropping it ends it.
struct Browser {
    driver: Child,
    session: String,
    http: Client,
}

impl Browser {
    async fn open() -> Option<Self> {
        if std::env::var_os("AMIGO_TEST_WITHOUT_BROWSER").is_some() {
            eprintln!("not run: there is no browser");
            return None;
        }
        let driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn();
        let mut driver = driver.unwrap_or_else(|error| {
            panic!(
                "chromedriver: {error}; install chromium-driver, or set AMIGO_TEST_WITHOUT_BROWSER"
            )
        });
        let lines = BufReader::new(driver.stdout.take().unwrap()).lines();
        let mut lines = lines.map_while(Result::ok);
        let port = lines.find_map(|line| {
            let port = line.split_once("successfully on port ")?.1;
            Some(port.trim_end_matches('.').to_owned())
        });
        let port = port.unwrap();
        // Whatever else it says must not stop it.
        std::thread::spawn(move || lines.for_each(drop));
        let http = Client::builder().no_proxy().build().unwrap();
        let options = json!({"args": [
            "--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900",
        ]});
        let wanted = json!({"capabilities": {"alwaysMatch": {
            "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"},
        }}});
        let mut browser = Self {
            driver,
            session: format!("http://127.0.0.1:{port}/session"),
            http,
        };
        let session = browser.call(Method::POST, "", wanted).await;
        let id = session["sessionId"].as_str().unwrap();
        browser.session = format!("{}/{id}", browser.session);
        Some(browser)
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Value {
        let is_read = method == Method::GET;
        let mut request = self.http.request(method, format!("{}{path}", self.session));
        if !is_read {
            request = request.json(&body);
        }
        let mut answer: Value = request.send().await.unwrap().json().await.unwrap();
        let value = answer["value"].take();
        assert!(value["error"].is_null(), "{path} {body}: {value}");
        value
    }

    async fn go(&self, url: &str) {
        self.call(Method::POST, "/url", json!({"url": url})).await;
    }

    /// What a script in the page returns.
    async fn run(&self, script: &str) -> Value {
        let script = json!({"script": script, "args": []});
        self.call(Method::POST, "/execute/sync", script).await
    }

    /// The visible text of the element.
    async fn text(&self, css: &str) -> String {
        let script = format!("return document.querySelector({css:?})?.innerText ?? ''");
        self.run(&script).await.as_str().unwrap().to_owned()
    }

    /// Waits until the element is shown and its text holds this.
    async fn see(&self, css: &str, wanted: &str) {
        let script = format!(
            "const e = document.querySelector({css:?}); return e?.checkVisibility() ? e.innerText : ''"
        );
        let mut seen = String::new();
        for _ in 0..600 {
            seen = self.run(&script).await.as_str().unwrap().to_owned();
            if seen.contains(wanted) && !seen.is_empty() {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        let message = self.text("#message").await;
        panic!("{css} shows {seen:?} instead of {wanted:?}; message: {message}");
    }

    async fn element(&self, css: &str) -> String {
        let wanted = json!({"using": "css selector", "value": css});
        let element = self.call(Method::POST, "/element", wanted).await;
        let (_, id) = element.as_object().unwrap().iter().next().unwrap();
        format!("/element/{}", id.as_str().unwrap())
    }

    async fn click(&self, css: &str) {
        let element = self.element(css).await;
        self.call(Method::POST, &format!("{element}/click"), json!({}))
            .await;
    }

    async fn write(&self, css: &str, text: &str) {
        let element = self.element(css).await;
        self.call(Method::POST, &format!("{element}/clear"), json!({}))
            .await;
        let path = format!("{element}/value");
        self.call(Method::POST, &path, json!({"text": text})).await;
    }

    /// What the browser complained of: violations of the policy, failures of scripts.
    async fn complaints(&self) -> Vec<String> {
        let log = self
            .call(Method::POST, "/se/log", json!({"type": "browser"}))
            .await;
        let lines = log.as_array().unwrap().iter();
        let lines = lines.map(|line| line["message"].as_str().unwrap().to_owned());
        // Refused requests are part of these tests.
        lines.filter(|line| !line.contains("status of 4")).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if let Some(group) = i32::try_from(self.driver.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.driver.wait();
    }
}

fn serve() -> (Server, (String, String)) {
    let mut key = None;
    let server = Server::start(|data: &Data| {
        data.org(ORG);
        key = Some(data.api_key(ORG));
        let hostile =
            "<img src=x onerror=document.title='run'><script>document.title='run'</script>";
        data.import_logs(
            ORG,
            &[
                log("talk/001/answer", "You are kind.", &["User: hello"]),
                log(
                    "talk/002/answer",
                    "You are kind.",
                    &["User: hello", "Agent: hi", hostile],
                ),
                log("other/001/answer", "You are short.", &["User: bye"]),
            ],
        );
        data.import_table(
            ORG,
            "visits",
            &[
                json!({"who": "ann <b>", "n": 1}),
                json!({"who": null, "n": 2}),
            ],
        );
    });
    (server, key.unwrap())
}

async fn sign_in(browser: &Browser, user: &str, (key_id, key): &(String, String)) {
    browser.see("#sign-in", "API key id").await;
    for (field, text) in [
        ("#org", ORG),
        ("#user", user),
        ("#key-id", key_id),
        ("#key", key),
    ] {
        browser.write(field, text).await;
    }
    browser.click("#sign-in button").await;
}

#[tokio::test]
async fn the_files_of_the_console_come_from_here_alone() {
    let server = Server::start(|data| data.org(ORG));
    for (file, kind) in [
        ("", "text/html"),
        ("console.css", "text/css"),
        ("console.js", "text/javascript"),
        ("zip.js", "text/javascript"),
    ] {
        let answer = Answer::of(server.request(Method::GET, &format!("/console/{file}"))).await;
        assert_eq!(answer.status, 200);
        assert!(answer.header("content-type").unwrap().starts_with(kind));
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.contains("script-src 'self'"), "{policy}");
        assert!(!answer.text().contains("://"), "{file} names another host");
    }
    let answer = server.request(Method::GET, "/console");
    let page = Answer::of(answer).await;
    assert!(page.text().contains("Sign in"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engineer_finds_what_the_model_saw() {
    let (server, key) = serve();
    let Some(browser) = Browser::open().await else {
        return;
    };
    // What was asked for before signing in is shown behind it.
    browser
        .go(&format!(
            "http://{}/console/#logs=talk%2F",
            server.address()
        ))
        .await;
    sign_in(
        &browser,
        AMIGO_ADMINISTRATOR,
        &("nobody".to_owned(), key.1.clone()),
    )
    .await;
    browser.see("#message", "key").await;
    sign_in(&browser, AMIGO_ADMINISTRATOR, &key).await;
    browser.see("#found", "2 logs").await;
    browser.see("#keys", "talk/002/answer").await;
    browser.see("#system", "You are kind.").await;
    browser.see("#history", "User: hello").await;
    browser.click("#keys li:nth-child(2) button").await;
    // Texts are shown, never run, and what the log before does not have stands out.
    browser.see("#history", "<img src=x onerror=").await;
    assert_eq!(browser.text("#history .known").await.trim(), "User: hello");
    assert!(browser.text("#history .fresh").await.contains("Agent: hi"));
    assert_eq!(browser.run("return document.title").await, "amigo-admin");
    // By what they contain.
    browser.write("#containing", "Agent: hi").await;
    browser.see("#keys li:only-child", "talk/002/answer").await;
    let file = browser
        .run("return document.querySelector('#zip').download")
        .await;
    assert_eq!(file, "acme-talk_.zip");

    browser.write("#prefix", "nothing/").await;
    browser.click("#find [type=submit]").await;
    browser.see("#found", "No log").await;

    // A token that no longer counts ends the session with the reason, and the address stays.
    server.data.ok(["user", "delete", ORG, AMIGO_ADMINISTRATOR]);
    browser.go("about:blank").await;
    browser
        .go(&format!(
            "http://{}/console/#logs=talk%2F",
            server.address()
        ))
        .await;
    browser.see("#message", "no longer exists").await;
    sign_in(&browser, SUPER_ADMINISTRATOR, &key).await;
    browser.see("#found", "2 logs").await;

    // Of the one who signs out nothing is left.
    browser.click("#sign-out").await;
    browser.see("#sign-in", "API key id").await;
    let page = browser.run("return document.body.textContent").await;
    assert!(!page.as_str().unwrap().contains("kind"), "{page}");
    assert_eq!(browser.run("return sessionStorage.length").await, 0);
    assert_eq!(browser.complaints().await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_analyst_asks_the_data() {
    let (server, key) = serve();
    let Some(browser) = Browser::open().await else {
        return;
    };
    browser
        .go(&format!("http://{}/console/", server.address()))
        .await;
    sign_in(&browser, SUPER_ADMINISTRATOR, &key).await;
    browser.see("#who", SUPER_ADMINISTRATOR).await;
    browser.click("#view-sql").await;
    browser.click("#load-tables").await;
    browser.see("#tables", "visits").await;
    browser
        .write(
            "#statement",
            "SELECT who, n, array(n) AS list FROM visits ORDER BY n",
        )
        .await;
    browser.click("#query [type=submit]").await;
    browser.see("#told", "2 rows, all").await;
    for cell in ["ann <b>", "NULL", "BIGINT", "[2]"] {
        assert!(browser.text("#rows").await.contains(cell), "{cell}");
    }
    // The server draws where the error is.
    browser.write("#statement", "SELECT whoo FROM visits").await;
    browser.click("#query [type=submit]").await;
    browser.see("#sql-error", "did you mean who").await;
    assert!(browser.text("#sql-error").await.ends_with('^'));

    browser.write("#statement", "SELECT * FROM visits").await;
    browser.click("#to-file").await;
    browser.see("#file", "2 rows: download").await;
    let url = browser
        .run("return document.querySelector('#file a').href")
        .await;
    let file = reqwest::get(url.as_str().unwrap()).await.unwrap();
    assert!(file.text().await.unwrap().contains("ann <b>"));

    // Whoever may not, reads why.
    browser.click("#sign-out").await;
    sign_in(&browser, USER, &key).await;
    browser.see("#who", USER).await;
    browser.click("#view-sql").await;
    browser.write("#statement", "SELECT 1").await;
    browser.click("#query [type=submit]").await;
    browser.see("#sql-error", "privileges").await;
    assert_eq!(browser.complaints().await, [""; 0]);
}
