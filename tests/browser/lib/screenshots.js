// Pictures of the app's main screens, with people who have something to say. `scripts/screenshots.sh` runs it.

import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { App, KEYS } from "./app.js";

const folder = resolve(process.argv[2] ?? "target/screenshots");
mkdirSync(folder, { recursive: true });
const app = await App.start();
const shoot = async (browser, name) => {
  await browser.run(() => new Promise((resolve) => setTimeout(resolve, 350)));
  writeFileSync(join(folder, `${name}.png`), await browser.screenshot());
  console.log(join(folder, `${name}.png`));
};
const look = (browser, theme) => browser.run((theme) => (document.documentElement.dataset.theme = theme), theme);

const door = await app.visitor({ width: 1280, height: 900 });
await shoot(door, "door");
await door.close();
const [kim, lee, park] = await Promise.all([
  app.person("kim", { name: "Kim Minji", width: 1280, height: 900 }),
  app.person("lee", { name: "이서준", language: "ko", width: 1280, height: 900 }),
  app.person("park", { name: "Park Jiwoo", width: 1280, height: 900 }),
]);
await shoot(kim, "empty");
const direct = await kim.message("lee");
const notes = await park.message("kim");
await park.say("The train is late again 🙄");
await park.say("Start without me?");
await kim.press("New conversation", "suda-sidebar");
for (const handle of ["lee", "park"]) {
  await kim.fill("dialog input[type=search]", handle);
  await kim.until(handle, (handle) => [...document.querySelectorAll("dialog .who span")].some((e) => e.textContent === `@${handle}`), handle);
  await kim.press("Add to group", "dialog");
}
await shoot(kim, "new-conversation");
await kim.fill("dialog [name=title]", "Weekend hike 산행");
await kim.press("Make the group", "dialog");
await kim.until("the group", () => document.querySelector("suda-conversation h1")?.textContent.startsWith("Weekend"));
const group = await kim.channel();
await kim.say("Who is in for Bukhansan on Saturday?");
await lee.open(group);
await lee.say("나도 갈래! 몇 시에 만날까?");
await lee.say("날씨도 좋대 ☀️");
await kim.say("@lee 8시 어때? Exit 2, by the bakery.");
await park.open(group);
await park.sees("8시");
await park.say("I’ll bring coffee. The route is here: https://example.org/bukhansan/routes?difficulty=moderate");
await park.say("☕️");
await kim.sees("The route");
await lee.run(() => [...document.querySelectorAll(".item.other")].findLast((e) => e.textContent.includes("8시")).focus());
await lee.keys(KEYS.enter);
await lee.press("답장", ".menu");
await lee.keys("좋아요, 김밥은 내가 살게. 조금 긴 메시지를 써 보면 이렇게 여러 줄로 나뉘어 보입니다. 8시까지 갈게!", KEYS.enter);
await kim.sees("김밥");
for (const [person, emoji, label] of [[kim, "👍", "React with 👍"], [park, "👍", "React with 👍"], [kim, "❤️", "React with ❤️"]]) {
  await person.sees("김밥");
  await person.run(() => [...document.querySelectorAll(".item.other")].findLast((e) => e.textContent.includes("김밥")).focus());
  await person.keys(KEYS.enter);
  await person.press(label, ".menu");
}
await kim.say("Perfect. See you all there!");
await lee.fill("suda-composer textarea", "네");
await kim.until("typing", () => document.querySelector(".typing.on"));
await shoot(kim, "group-light");
await look(kim, "dark");
await shoot(kim, "group-dark");
await kim.run(() => [...document.querySelectorAll(".item.other")].at(-1).focus());
await kim.keys(KEYS.enter);
await shoot(kim, "menu-dark");
await kim.keys(KEYS.escape);
await look(kim, "light");
await kim.press("About this conversation");
await kim.until("the members", () => document.querySelectorAll("dialog .people li").length === 3);
await shoot(kim, "info-light");
await kim.keys(KEYS.escape);
await kim.press("Profile and settings", "suda-sidebar");
await kim.until("the devices", () => document.querySelector("dialog .people li"));
await shoot(kim, "settings-light");
await kim.mayNotify("granted");
await kim.turn("Notify in this browser", true);
await kim.turn("Quiet hours", true);
const toNotifications = (browser) => browser.run(() => document.querySelector("dialog .pair").scrollIntoView({ block: "end" }));
await toNotifications(kim);
await shoot(kim, "settings-notifications");
await kim.keys(KEYS.escape);
await kim.open(direct);
await kim.say("안녕하세요!");
await lee.keys(KEYS.enter);
await lee.open(direct);
await lee.say("반가워요 🙂");
await shoot(lee, "direct-korean");
await lee.press("친구", "suda-sidebar");
await shoot(lee, "friends-korean");
await lee.keys(KEYS.escape);
await lee.cdp("Emulation.setDeviceMetricsOverride", { width: 390, height: 844, deviceScaleFactor: 2, mobile: true });
await lee.press("목록으로");
await shoot(lee, "phone-list");
await lee.open(group);
await shoot(lee, "phone-group");
await look(lee, "dark");
await shoot(lee, "phone-group-dark");
await lee.press("목록으로");
await lee.press("프로필과 설정", "suda-sidebar");
await lee.turn("방해 금지 시간", true);
await toNotifications(lee);
await shoot(lee, "phone-settings-dark");
await app.stop();
