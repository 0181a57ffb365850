//! smoke
use crate::support::*;

#[tokio::test]
async fn smoke() {
    let server = Server::start(|data| {
        data.org("acme");
        data.import_logs("acme", &[log("a/1", "sys", &["x", "y"])]);
    });
    let token = server.token("acme", SUPER_ADMINISTRATOR);
    println!("{:?}", server.logs(&token, "acme", "a").await.entries());
    println!("{:?}", server.rows(&token, "acme", "SELECT 1").await);
    println!("{:?}", server.log());
    println!("{:?}", children(server.pid()));
    let mut server = server;
    println!("{:?}", server.stop());
}
