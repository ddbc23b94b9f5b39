/**
 * What `importScripts("…/push-worker.js")` gives to the app's service worker.
 *
 * ```js
 * addEventListener("pushsubscriptionchange", (event) => event.waitUntil(sudaPush.renew(event)));
 * ```
 */
interface SudaPush {
  /**
   * Subscribes anew where the browser has not done so by itself, and registers the subscription with the server, as the device
   * that is logged in. False if there is none, or a page is open that has the login: have it call `client.push.turnOn()`.
   */
  renew(
    event: { readonly oldSubscription?: PushSubscription | null; readonly newSubscription?: PushSubscription | null },
    /** As they were given to `Client.open()`. Default: the worker's own origin, and `""`. */
    options?: { readonly server?: string; readonly profile?: string },
  ): Promise<boolean>;
}
declare const sudaPush: SudaPush;
