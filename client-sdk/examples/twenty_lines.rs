//! Two lines to log in, two to talk: `cargo run -p suda-client --example twenty_lines -- http://localhost:8080 kim lee`
#![expect(clippy::print_stdout, reason = "it is what it is for")]

use suda_client::{Client, Error};

const PASSWORD: &str = "correct horse battery";

#[tokio::main]
async fn main() -> Result<(), Error> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, me, other] = args.as_slice() else { return Err(Error::BadUrl("give URL, handle, handle".to_owned())) };
    let client = Client::builder(url).connect().await?;
    client.login(me, PASSWORD).await?;
    let other = client.users().by_handle(other).await?;
    let channel = client.direct(other.user).await?;
    let ack = channel.send(format!("Hello, {}!", other.display_name)).await?;
    let (mut timeline, mut shown) = (channel.timeline(), Vec::new());
    while let Some(update) = timeline.next().await {
        update.apply(&mut shown);
        if let Some(answer) = shown.iter().find(|item| item.by == other.user && item.seq > Some(ack.seq)) {
            println!("{}: {}", other.handle, answer.text().unwrap_or_default());
            break;
        }
    }
    Ok(())
}
