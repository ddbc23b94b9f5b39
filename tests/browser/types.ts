// What an app's author writes, for the compiler to check against the types of the package.
import { AuthError, Client, SudaError, type MessageItem, type TimelineItem } from "suda";

export async function example(): Promise<void> {
  const client = await Client.open({ server: "https://chat.example.org", transports: ["webtransport"] });
  if (!client.session) {
    try {
      await client.logIn("kim", "correct horse battery");
    } catch (error) {
      if (error instanceof AuthError && error.code === "wrong_credentials") return;
      if (error instanceof SudaError && error.retryable) console.log(error.retryAfterMs);
      throw error;
    }
  }
  const link = client.link;
  if (link.state === "online") console.log(link.transport);
  else if (link.state === "reconnecting") console.log(link.nextAttemptAt);
  client.addEventListener("notify", ({ detail }) => console.log(detail.text, detail.looking));
  // @ts-expect-error: there is no such event
  client.addEventListener("nothing", () => {});

  const isOn: boolean = await client.push.turnOn(await navigator.serviceWorker.ready);
  if (!isOn && (await client.serverInfo()).webPushKey !== null) await client.devices.registerPush({ endpoint: "https://push.example", keys: {} });
  addEventListener("pushsubscriptionchange", () => sudaPush.renew({}, { profile: "" }).then((done: boolean) => done));

  const channel = await client.openDirect("1");
  const sending = channel.send("hello", { replyTo: 3, mentions: ["1"] });
  const { seq } = await sending.acknowledged;
  channel.react(seq, "👍");
  const controller = new AbortController();
  for await (const { items, reset } of channel.timeline({ at: "unread", signal: controller.signal })) {
    const texts = items.filter((item: TimelineItem): item is MessageItem => item.type === "message").map((item) => item.text);
    if (reset) console.log(texts);
    break;
  }
}
