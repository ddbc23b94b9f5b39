/**
 * suda for the browser: a chat client whose messages are never lost, doubled or reordered.
 *
 * ```js
 * import { Client } from "suda";
 *
 * const client = await Client.open();                     // this page's own server; resumes the stored session
 * if (!client.session) await client.logIn("kim", "correct horse");
 * const channel = await client.openDirect(await client.users.byHandle("lee").then((lee) => lee.id));
 * const sent = channel.send("Hello!");                    // shown at once ...
 * await sent.acknowledged;                                // ... and durable on the server
 * for await (const { items } of channel.timeline()) render(items);
 * ```
 *
 * Ids are strings of digits. Times are milliseconds since the Unix epoch. Nothing needs to be freed by hand: what is open
 * ends by `close()`, an `AbortSignal`, leaving a `for await`, or with the page. Objects that are handed out are frozen
 * snapshots; an object that has not changed is the same object (`===`) the next time, so views can compare cheaply.
 *
 * All tabs of one origin and server share one session, one link and one store. They see the same events, and each
 * `notify` event fires in exactly one of them.
 *
 * @packageDocumentation
 */

/** A user's id. */
export type UserId = string;
/** A channel's id. */
export type ChannelId = string;
/** A device's id. */
export type DeviceId = string;
/** The id of a picture or file. */
export type MediaId = string;
/** The UUID that a client gives a send; the same through all retries. */
export type ClientMsgId = string;
/** The number of an entry in its channel's log: 1, 2, 3 … */
export type Seq = number;
/** Milliseconds since the Unix epoch. */
export type TimeMs = number;

// ---------------------------------------------------------------------------------------------------- events, errors

/** An `EventTarget` whose events are typed: `M` maps each event's name to the type of its `detail`. */
export class TypedEventTarget<M extends object> extends EventTarget {
  /** Listens. As with every `EventTarget`, `{ signal }` takes the listener away again. */
  addEventListener<K extends keyof M & string>(
    type: K,
    listener: ((event: CustomEvent<M[K]>) => void) | { handleEvent(event: CustomEvent<M[K]>): void } | null,
    options?: boolean | AddEventListenerOptions,
  ): void;
  /** Listens no more. */
  removeEventListener<K extends keyof M & string>(
    type: K,
    listener: ((event: CustomEvent<M[K]>) => void) | { handleEvent(event: CustomEvent<M[K]>): void } | null,
    options?: boolean | EventListenerOptions,
  ): void;
}

/**
 * Whether doing the same again can help: `"never"`, `"later"` (after a while, or after `retryAfterMs`), or `"after-fix"`
 * (something must be put right first, such as logging in).
 */
export type Retry = "never" | "later" | "after-fix";

/** What went wrong, for programs. Those of the server are as in the protocol; more may come. */
export type ErrorCode =
  | "malformed"
  | "too_large"
  | "invalid"
  | "wrong_state"
  | "unauthenticated"
  | "token_expired"
  | "wrong_credentials"
  | "forbidden"
  | "not_found"
  | "blocked"
  | "conflict"
  | "limit_reached"
  | "cursor_ahead"
  | "erased"
  | "rate_limited"
  | "overloaded"
  | "internal"
  | "unavailable"
  | "outcome_unknown"
  | "shutting_down"
  /** The server could not be reached. */
  | "network"
  /** Nobody is logged in. */
  | "logged_out"
  /** The outbox is full; wait until something has gone out. */
  | "outbox_full"
  /** The browser lacks something that cannot be done without, such as WebAssembly. */
  | "unsupported"
  /** The client itself failed. Its message says where; a page load begins anew, and nothing acknowledged is lost. */
  | "crashed"
  /** The client was closed. */
  | "closed"
  | (string & {});

/** Every error of this package. An aborted wait rejects with the signal's `reason` instead, as everywhere on the web. */
export class SudaError extends Error {
  constructor(code: ErrorCode, message: string, options?: { retry?: Retry; retryAfterMs?: number | null; cause?: unknown });
  /** For programs. `message` is for developers: show people a text of your own. */
  readonly code: ErrorCode;
  /** Whether doing the same again can help. */
  readonly retry: Retry;
  /** Shorthand for `retry === "later"`. */
  readonly retryable: boolean;
  /** How long to wait before, if the server has said so. */
  readonly retryAfterMs: number | null;
}
/** The server could not be reached, or did not answer. */
export class NetworkError extends SudaError {}
/** The server's answer was no: a rule, a limit, a right that is missing. `code` says which. */
export class ServerError extends SudaError {}
/** Handle or password is wrong, or nobody is logged in (any more). */
export class AuthError extends SudaError {}
/** The client was closed, or failed. */
export class ClientError extends SudaError {}

// ------------------------------------------------------------------------------------------------------------ client

/** How a client is made. Nothing needs to be said. */
export interface ClientOptions {
  /** The server, such as `"https://chat.example.org"`. Default: the page's own origin. */
  server?: string | URL;
  /** Which transports may be used, best first. Default: `["webtransport", "websocket"]`. */
  transports?: readonly Transport[];
  /**
   * Where the session, the outbox and the cache of entries are kept. `"persistent"` (default) is IndexedDB, and memory
   * where that cannot be had; `"memory"` never touches the disk, for tabs that must leave no trace.
   */
  storage?: "persistent" | "memory";
  /** Keeps clients apart that would otherwise be one: a name for the store and the link shared by tabs. Default: `""`. */
  profile?: string;
  /** What is told to the server for its statistics, such as `"my-app/1.2"`. */
  clientName?: string;
  /** Where the `.wasm` file is, if a bundler has hidden it. */
  wasm?: string | URL | Response | BufferSource;
  /** Gives up opening. */
  signal?: AbortSignal;
}

/** A way to the server. */
export type Transport = "webtransport" | "websocket";

/** Who is logged in, on which device. */
export interface Session {
  readonly userId: UserId;
  readonly deviceId: DeviceId;
}

/** Why there will be no link without somebody doing something. */
export type EndReason =
  /** Nobody has logged in, or somebody logged out here. */
  | "logged-out"
  /** The device was logged out from elsewhere, or its tokens are worth nothing any more: log in again. */
  | "revoked"
  /** The same login is in use in another browser process: `client.reconnect()` takes it back. */
  | "replaced"
  /** The server closed for good; `message` says why. Usually this client is too old: reload. */
  | "refused"
  /** The client failed: reload. */
  | "crashed"
  /** `client.close()` was called. */
  | "closed";

/** How the link to the server is. */
export type LinkState =
  /** The first link since opening or logging in is being made. */
  | { readonly state: "connecting" }
  /** There is a link. */
  | { readonly state: "online"; readonly transport: Transport; readonly node: number }
  /**
   * It was lost, or gives no sign of life (`stalled`), and another one is being made. `nextAttemptAt`: when the next attempt
   * begins, or null while one is under way. What is sent meanwhile waits in the outbox.
   */
  | { readonly state: "reconnecting"; readonly nextAttemptAt: TimeMs | null; readonly stalled: boolean }
  /** The browser says that there is no network. It goes on by itself when there is one. */
  | { readonly state: "offline" }
  /** There is none, and none will be made. */
  | { readonly state: "ended"; readonly reason: EndReason; readonly message: string };

/** The events of a {@link Client}. */
export interface ClientEventMap {
  /** The link came, went or changed: `client.link`. */
  link: LinkState;
  /** Somebody logged in or out, here or in another tab: `client.session`. */
  session: Session | null;
  /** The list of channels changed: `client.channels`. */
  channels: readonly ChannelInfo[];
  /** One is no longer in a channel, or it is gone. */
  channelgone: { readonly channelId: ChannelId };
  /**
   * A message of somebody else that the user should be told of: not in a channel that is muted, not read already. Fires in one
   * tab only, whichever is open. Sending it to `Notification` is the app's choice.
   */
  notify: Notice;
  /** Friends or requests changed: read `client.friends` again. */
  friends: FriendsChange;
  /** Somebody's presence changed. */
  presence: Presence;
  /** A device was logged in or out: read `client.devices` again. */
  devices: null;
  /** One's own profile or settings changed, here or on another device. */
  profile: null;
  /** A send was refused for good; its item is `failed` in the timeline. */
  sendfailed: { readonly channelId: ChannelId; readonly clientMsgId: ClientMsgId; readonly error: SudaError };
  /** Where things are kept changed: the disk was refused or is full, and memory is used. */
  storage: StorageState;
}

/** What the user should be told of. */
export interface Notice {
  readonly channelId: ChannelId;
  readonly seq: Seq;
  /** Who wrote it. */
  readonly by: UserId;
  readonly atMs: TimeMs;
  /** The beginning of its text. */
  readonly text: string;
  /** Whether it mentions the user or answers them, as far as that is known here. */
  readonly mention: boolean;
  /** Whether a visible tab shows this channel just now. */
  readonly looking: boolean;
}

/** Where things are kept. */
export interface StorageState {
  /** `"persistent"`, or `"memory"`: it lasts as long as the page. */
  readonly kind: "persistent" | "memory";
  /** Why it is memory though it should not be, for developers. */
  readonly reason: string | null;
}

/** A connection to one server, shared by all tabs, and everything one can do with it. */
export class Client extends TypedEventTarget<ClientEventMap> {
  private constructor();
  /**
   * Opens the client. If a session is stored, it is resumed: its channels and entries are there at once, from the cache,
   * and the link comes by itself. Does not wait for the network.
   */
  static open(options?: ClientOptions): Promise<Client>;

  /** Who is logged in, or null. */
  readonly session: Session | null;
  /** How the link is. */
  readonly link: LinkState;
  /** Where things are kept. */
  readonly storage: StorageState;
  /** How many sends wait for their acknowledgement, in all channels. */
  readonly outboxSize: number;

  /** What the server says of itself, such as who may sign up. */
  serverInfo(options?: Wait): Promise<ServerInfo>;
  /** Makes an account and logs in. `conflict`: the handle is taken. */
  signUp(account: NewAccount, options?: Wait): Promise<Session>;
  /** Logs in. `wrong_credentials`: handle or password is wrong, which of them is never said. */
  logIn(handle: string, password: string, options?: Wait & { deviceName?: string }): Promise<Session>;
  /**
   * Logs out in all tabs and forgets everything that was kept, sends in the outbox included (see `outboxSize`). Works offline
   * too; the server is told as soon as that is possible within this call.
   */
  logOut(): Promise<void>;
  /** Changes the password. All other devices are logged out. */
  changePassword(oldPassword: string, newPassword: string, options?: Wait): Promise<void>;
  /** Deletes the account for good, and forgets everything. */
  deleteAccount(password: string, options?: Wait): Promise<void>;
  /** Everything there is of the account: one JSON object a line. */
  exportAccount(options?: Wait): Promise<Blob>;

  /** Tries to connect now rather than at `nextAttemptAt`. After `replaced`, takes the link back. */
  reconnect(): void;
  /** Ends this client in this tab. Other tabs go on; sends in the outbox are kept. */
  close(): Promise<void>;

  /** One's channels by activity, newest first, as far as known: the whole list soon after being online. */
  readonly channels: readonly ChannelInfo[];
  /** Whether `channels` is the whole list. */
  readonly channelsComplete: boolean;
  /** The number of unread messages in channels that are not muted: for a badge. */
  readonly unreadTotal: number;
  /** A channel, by its id. The same object for the same id. It need not be known yet. */
  channel(id: ChannelId): Channel;
  /** The direct channel with a user; with oneself it is for notes. */
  openDirect(user: UserId, options?: Wait): Promise<Channel>;
  /** Makes a group, or a broadcast channel, in which few may post. */
  createChannel(channel: NewChannel, options?: Wait): Promise<Channel>;
  /** What an invite code leads to. */
  lookAtInvite(code: string, options?: Wait): Promise<InvitePreview>;
  /** Joins by an invite code. */
  join(code: string, options?: Wait): Promise<Channel>;

  /** Users: look up, search. */
  readonly users: Users;
  /** Friends, requests, blocks. */
  readonly friends: Friends;
  /** Who is there. */
  readonly presence: PresenceBook;
  /** One's devices. */
  readonly devices: Devices;
  /** One's own profile and settings. */
  readonly me: Me;
  /** Being told while no tab is open. */
  readonly push: Push;
}

/** Something that waits for the server. */
export interface Wait {
  /** Stops waiting. What was asked may have happened all the same. */
  signal?: AbortSignal;
}

/** What the server says of itself. */
export interface ServerInfo {
  readonly version: string;
  readonly region: string;
  /** Who may make an account. `"external"`: accounts are those of an identity provider. */
  readonly signUp: "open" | "closed" | "external";
  /** The `applicationServerKey` of its pushes, in base64url; null if it does not push to browsers. */
  readonly webPushKey: string | null;
}

/** An account to be made. */
export interface NewAccount {
  handle: string;
  /** 8 to 1024 bytes. */
  password: string;
  /** The name that is shown. Default: the handle. */
  displayName?: string;
  /** A name for this device, such as `"Kim's laptop"`. Default: the browser's and system's name. */
  deviceName?: string;
}

// ---------------------------------------------------------------------------------------------------------- channels

/** `direct`: two users. `group`: some. `broadcast`: any number, few of whom may post. */
export type ChannelKind = "direct" | "group" | "broadcast";
/** What a member may do; each may do what those before it may. */
export type Role = "member" | "poster" | "admin" | "owner";
/** What notifies: everything, only mentions and answers, or nothing before a time (`Infinity`: ever). */
export type Mute = "off" | "mentions" | { readonly until: TimeMs };

/** A channel as this user sees it: a row of the list. */
export interface ChannelInfo {
  readonly id: ChannelId;
  readonly kind: ChannelKind;
  /** Empty for direct channels: show the peer's name. */
  readonly title: string;
  readonly picture: MediaId | null;
  /** The other user of a direct channel. */
  readonly peer: UserId | null;
  /** What this user may do. */
  readonly role: Role;
  readonly memberCount: number;
  /** The newest entry. */
  readonly head: Seq;
  readonly lastAtMs: TimeMs;
  /** How far this user has read. */
  readonly read: Seq;
  /** Messages of others after that. Exact. */
  readonly unread: number;
  readonly mute: Mute;
  /** Whether `mute` keeps ordinary messages quiet at this moment. */
  readonly muted: boolean;
  /** The newest message. */
  readonly preview: Preview | null;
}

/** The newest message, shortened. */
export interface Preview {
  readonly seq: Seq;
  readonly by: UserId;
  readonly atMs: TimeMs;
  /** Empty where it was deleted or is not text. */
  readonly text: string;
}

/** A channel to be made. */
export interface NewChannel {
  /** Default: `"group"`. */
  kind?: "group" | "broadcast";
  title: string;
  picture?: MediaId | null;
  /** Who is in it from the start, beside oneself. */
  members?: readonly UserId[];
}

/** What an invite code leads to. */
export interface InvitePreview {
  readonly channelId: ChannelId;
  readonly kind: ChannelKind;
  readonly title: string;
  readonly picture: MediaId | null;
  readonly memberCount: number;
}

/** The events of a {@link Channel}. Those of `typing` and `receipts` come while a timeline of the channel is open. */
export interface ChannelEventMap {
  /** `channel.info` changed. */
  info: ChannelInfo | null;
  /** Who types changed: `channel.typing`. */
  typing: readonly UserId[];
  /** Others got or read more: `channel.receipts`. */
  receipts: readonly Receipt[];
}

/** How far a member has got. */
export interface Receipt {
  readonly userId: UserId;
  /** Everything up to here has reached one of their devices. */
  readonly delivered: Seq;
  /** Everything up to here they have read. */
  readonly read: Seq;
}

/** One conversation. */
export class Channel extends TypedEventTarget<ChannelEventMap> {
  private constructor();
  readonly id: ChannelId;
  /** Its row in the list; null while not known, and when one is not in it. */
  readonly info: ChannelInfo | null;
  /** Who types just now, oneself excluded. */
  readonly typing: readonly UserId[];
  /** How far the others have got. Empty in channels too large for it. */
  readonly receipts: readonly Receipt[];
  /** How far one message of one's own has got with the others: `"read"` and `"delivered"` count who has. */
  receiptOf(seq: Seq): { readonly deliveredTo: readonly UserId[]; readonly readBy: readonly UserId[] };

  /**
   * Looks at the channel: its entries, live, what is on its way included. Open one for each view, and close it with the view.
   * Resumes exactly where it was after every loss of the link.
   */
  timeline(options?: TimelineOptions): Timeline;
  /** The same for one thread: the messages that answer the message `root`, and it. */
  thread(root: Seq, options?: TimelineOptions): Timeline;
  /** One message as it is now, such as the one that another answers. From the cache where it is there. */
  message(seq: Seq, options?: Wait): Promise<MessageItem | null>;

  /**
   * Sends. It is in the outbox when this returns, shown in the timeline, and sent until it is acknowledged, over reloads of
   * the page too. Throws only for what can never be sent: `invalid` (nothing but white space), `too_large`, `outbox_full`.
   */
  send(text: string, options?: SendOptions): Sending;
  /** Gives one's own message another text. */
  edit(seq: Seq, text: string, options?: { mentions?: readonly UserId[] }): Sending;
  /** Deletes one's own message, or as an admin anybody's. */
  delete(seq: Seq): Sending;
  /** Adds a reaction (`on`, default), or takes it back. */
  react(seq: Seq, emoji: string, on?: boolean): Sending;
  /** Sends one that has failed once more, under the same id. */
  retry(id: ClientMsgId): Sending;
  /** Takes one that has failed, or still waits, out of the timeline and the outbox. False if it was on its way already. */
  discard(id: ClientMsgId): Promise<boolean>;

  /** The user has read everything up to here; without a seq: everything. Marks only move forward. */
  markRead(seq?: Seq): void;
  /** To be called with every key that the user types; tells the others now and then. */
  setTyping(on?: boolean): void;

  /** What notifies. */
  setMute(mute: Mute, options?: Wait): Promise<void>;
  /** Another title. For admins. */
  setTitle(title: string, options?: Wait): Promise<void>;
  /** Another picture, or none. For admins. */
  setPicture(picture: MediaId | null, options?: Wait): Promise<void>;

  /** Everybody in it. */
  members(options?: Wait): Promise<readonly Member[]>;
  /** Adds users. For admins; only such as let themselves be added. */
  addMembers(users: readonly UserId[], options?: Wait): Promise<void>;
  /** Gives a member another role, below one's own. For admins. */
  setRole(user: UserId, role: Exclude<Role, "owner">, options?: Wait): Promise<void>;
  /** Hands the channel over. For its owner, who becomes an admin. */
  transfer(user: UserId, options?: Wait): Promise<void>;
  /** Removes a member, who may be added again. For admins. */
  kick(user: UserId, options?: Wait): Promise<void>;
  /** Keeps somebody out. For admins. */
  ban(user: UserId, options?: Wait): Promise<void>;
  /** Lets somebody in again. For admins. */
  unban(user: UserId, options?: Wait): Promise<void>;
  /** Who is kept out. For admins. */
  bans(options?: Wait): Promise<readonly Ban[]>;
  /** Leaves. */
  leave(options?: Wait): Promise<void>;
  /** Deletes the channel with everything in it. For its owner. */
  deleteChannel(options?: Wait): Promise<void>;

  /** The code by which it can be joined, or null. For admins. */
  inviteCode(options?: Wait): Promise<string | null>;
  /** A new code; the one before is worth nothing. For admins. */
  newInviteCode(options?: Wait): Promise<string>;
  /** Makes the code worth nothing. For admins. */
  revokeInviteCode(options?: Wait): Promise<void>;
}

/** Somebody in a channel. */
export interface Member {
  readonly userId: UserId;
  readonly role: Role;
  readonly joinedAtMs: TimeMs;
}
/** Somebody kept out. */
export interface Ban {
  readonly userId: UserId;
  readonly by: UserId;
  readonly atMs: TimeMs;
}

/** How to send. */
export interface SendOptions {
  /** The message that this answers. */
  replyTo?: Seq;
  /** Who is mentioned. */
  mentions?: readonly UserId[];
}

/** Something that was sent, and what becomes of it. Letting go of it changes nothing. */
export interface Sending {
  readonly clientMsgId: ClientMsgId;
  readonly channelId: ChannelId;
  /** How far it has got, at this moment. */
  readonly state: "waiting" | "sending" | "sent" | "failed";
  /**
   * Fulfilled when it is durable on the server; rejected if it is refused for good or discarded. While offline it waits. Not
   * looking at it is fine: a rejection nobody handles is not reported by the browser.
   */
  readonly acknowledged: Promise<{ readonly seq: Seq; readonly atMs: TimeMs }>;
}

// ---------------------------------------------------------------------------------------------------------- timeline

/** What is shown at the beginning. */
export interface TimelineOptions {
  /** `"newest"` (default), `"unread"`: the first unread message, a seq, or a time. */
  at?: Place;
  /** Closes the timeline. */
  signal?: AbortSignal;
}
/** A place in a channel. */
export type Place = "newest" | "unread" | { readonly seq: Seq } | { readonly time: TimeMs };

/** What changed in a timeline. */
export interface TimelineUpdate {
  /** All that is shown now, in order: `timeline.items`. */
  readonly items: readonly TimelineItem[];
  /** Those that are new or changed; an item that was optimistic and is durable now keeps its `key`. */
  readonly changed: readonly TimelineItem[];
  /** The keys of those that are not shown any more. */
  readonly removed: readonly string[];
  /** Whether everything is another stretch of the channel, as after a jump: keep no scroll position. */
  readonly reset: boolean;
}

/** The events of a {@link Timeline}. */
export interface TimelineEventMap {
  /** Something changed. */
  change: TimelineUpdate;
  /** The timeline is over: closed, or one is not in the channel any more (`error`). */
  close: { readonly error: SudaError | null };
}

/**
 * A window on a channel: a stretch of it without a gap, kept up to date.
 *
 * `for await (const update of timeline)` yields the present state first and then one update for all that happened since the
 * last turn: a slow loop misses nothing and queues nothing. Leaving the loop closes the timeline. Alternatively listen to
 * `change`.
 */
export class Timeline extends TypedEventTarget<TimelineEventMap> implements AsyncIterable<TimelineUpdate> {
  private constructor();
  readonly channel: Channel;
  /** The first message of the thread, if this is one. */
  readonly threadRoot: Seq | null;
  /** What is shown, oldest first; what has no seq yet is last. */
  readonly items: readonly TimelineItem[];
  /** Fulfilled when the first items are there (from cache or server), or the channel is known to be empty. */
  readonly ready: Promise<void>;
  /** Whether there is more before the first item. */
  readonly hasOlder: boolean;
  /** Whether there is more after the last: then this is a stretch of the past, and new messages are not shown in it. */
  readonly hasNewer: boolean;
  /** Whether a page is being fetched, and in which direction. */
  readonly loading: "older" | "newer" | "jump" | null;
  /** The first unread message as it was when the timeline was opened or last jumped: where the "new" line is drawn. */
  readonly firstUnread: Seq | null;

  /** Fetches what is before. Fulfilled with how many items came. Waits while offline. One at a time. */
  loadOlder(options?: Wait & { limit?: number }): Promise<number>;
  /** Fetches what is after, until the newest. */
  loadNewer(options?: Wait & { limit?: number }): Promise<number>;
  /** Goes somewhere else. Fulfilled with the item that is there, or the nearest. */
  jumpTo(place: Place, options?: Wait): Promise<TimelineItem | null>;
  /** Ends it. */
  close(): void;
  readonly closed: boolean;
  [Symbol.asyncIterator](): AsyncIterator<TimelineUpdate, void, void>;
  [Symbol.dispose](): void;
}

/** How far an item has got. */
export type Delivery =
  /** In the outbox: it goes out when there is a link. */
  | "waiting"
  /** On its way. */
  | "sending"
  /** Durable. */
  | "sent"
  /** Refused for good: `error` says why. `channel.retry` or `channel.discard`. */
  | "failed";

/** What every item has. */
export interface ItemBase {
  /** The same for the same item for ever, also while it gets its seq: for keyed lists. */
  readonly key: string;
  /** Its place, once it has one. */
  readonly seq: Seq | null;
  readonly by: UserId;
  /** When; by this device's clock until it is durable. */
  readonly atMs: TimeMs;
}

/** A message. */
export interface MessageItem extends ItemBase {
  readonly type: "message";
  readonly clientMsgId: ClientMsgId | null;
  readonly delivery: Delivery;
  /** Why it failed. */
  readonly error: SudaError | null;
  /** Whether it is one's own. */
  readonly own: boolean;
  /** What it says, one's own edits on their way included. Never markup. Null where it is deleted or opaque. */
  readonly text: string | null;
  /** A body that only certain clients understand. */
  readonly opaque: { readonly scheme: string; readonly bytes: Uint8Array } | null;
  /** Who deleted it. */
  readonly deleted: { readonly by: UserId } | null;
  /** The message it answers. */
  readonly replyTo: Seq | null;
  /** The first message of its thread. */
  readonly thread: Seq | null;
  readonly mentions: readonly UserId[];
  /** Whether it mentions this user. */
  readonly mentionsMe: boolean;
  readonly attachments: readonly Attachment[];
  readonly edited: { readonly atMs: TimeMs; readonly count: number } | null;
  readonly reactions: readonly Reaction[];
  /** Whether an edit, deletion or reaction of this user is on its way. */
  readonly changing: boolean;
}

/** A member came, went or changed. */
export interface MemberItem extends ItemBase {
  readonly type: "member";
  readonly seq: Seq;
  readonly userId: UserId;
  readonly change: "joined" | "left" | "kicked" | "banned" | "unbanned" | "role";
  /** With `joined` and `role`. */
  readonly role: Role | null;
}
/** The title changed. */
export interface TitleItem extends ItemBase {
  readonly type: "title";
  readonly seq: Seq;
  readonly title: string;
}
/** The picture changed. */
export interface PictureItem extends ItemBase {
  readonly type: "picture";
  readonly seq: Seq;
  readonly picture: MediaId | null;
}
/** Something that this version does not know. Show nothing. */
export interface UnknownItem extends ItemBase {
  readonly type: "unknown";
  readonly seq: Seq;
}
/** One thing that is shown. */
export type TimelineItem = MessageItem | MemberItem | TitleItem | PictureItem | UnknownItem;

/** One emoji's reactions to a message. */
export interface Reaction {
  readonly emoji: string;
  readonly count: number;
  /** The first of them. */
  readonly users: readonly UserId[];
  /** Whether this user is among them, as far as `users` tells. */
  readonly mine: boolean;
}

/** A picture or file of a message. */
export interface Attachment {
  readonly media: MediaId;
  readonly name: string;
  readonly mediaType: string;
  readonly bytes: number;
  /** Width and height in pixels. */
  readonly size: readonly [number, number] | null;
  /** A tiny preview, such as a blurhash. */
  readonly preview: string | null;
}

// ------------------------------------------------------------------------------------------------------------- people

/** A user as everybody sees them. */
export interface User {
  readonly id: UserId;
  /** Empty if they are gone. */
  readonly handle: string;
  readonly displayName: string;
  readonly bio: string;
  readonly statusText: string;
  readonly picture: MediaId | null;
  /** Whether the account was deleted. */
  readonly gone: boolean;
}

/** Looking users up. Answers are cached for a while; lookups made in one turn go in one request. */
export interface Users {
  /** What is cached of a user, at once; undefined if nothing is. */
  peek(id: UserId): User | undefined;
  /** One user. */
  get(id: UserId, options?: Wait): Promise<User>;
  /** Several, in the order asked for. Ids that never were are left out. */
  getMany(ids: readonly UserId[], options?: Wait): Promise<readonly User[]>;
  /** By the whole handle. `not_found`: nobody, or nobody who wants to be found. */
  byHandle(handle: string, options?: Wait): Promise<User>;
  /** By the beginning of the handle: at most 50. */
  search(beginning: string, options?: Wait & { limit?: number }): Promise<readonly User[]>;
}

/** Somebody in a list. */
export interface Listed {
  readonly userId: UserId;
  readonly sinceMs: TimeMs;
}
/** What happened to one's friends. */
export interface FriendsChange {
  readonly userId: UserId;
  readonly change: "requested" | "request-sent" | "added" | "removed" | "blocked" | "unblocked";
}

/** Friends, requests, blocks. */
export interface Friends {
  /** One's friends. */
  list(options?: Wait): Promise<readonly Listed[]>;
  /** Who asks to be one. */
  received(options?: Wait): Promise<readonly Listed[]>;
  /** Whom one has asked. */
  sent(options?: Wait): Promise<readonly Listed[]>;
  /** Asks. `"friends"`: they are already, or the other one had asked too. */
  request(user: UserId, options?: Wait): Promise<"sent" | "friends">;
  /** Says yes. */
  accept(user: UserId, options?: Wait): Promise<void>;
  /** Says no. */
  refuse(user: UserId, options?: Wait): Promise<void>;
  /** Ends a friendship, or takes a request back. */
  remove(user: UserId, options?: Wait): Promise<void>;
  /** Whom one has blocked. */
  blocked(options?: Wait): Promise<readonly Listed[]>;
  /** Blocks. */
  block(user: UserId, options?: Wait): Promise<void>;
  /** Takes that back. */
  unblock(user: UserId, options?: Wait): Promise<void>;
}

/** Whether somebody is there. `idle`: connected, but nobody is at the device. */
export interface Presence {
  readonly userId: UserId;
  readonly status: "online" | "idle" | "offline";
  /** When they were last online; null if never, or if they don't say. */
  readonly lastActiveAtMs: TimeMs | null;
}

/** Who is there. Friends and partners of direct channels are told of by themselves (`presence` event); ask for others. */
export interface PresenceBook {
  /** What is known, at once. */
  peek(user: UserId): Presence | undefined;
  /** Asks about up to 200 users. Those one may not see are left out. */
  ask(users: readonly UserId[], options?: Wait): Promise<readonly Presence[]>;
}

/** One of one's devices. */
export interface Device {
  readonly id: DeviceId;
  readonly name: string;
  readonly platform: "ios" | "android" | "web" | "desktop" | "bot" | "other";
  readonly madeAtMs: TimeMs;
  readonly seenAtMs: TimeMs;
  /** Whether it is this one. */
  readonly current: boolean;
}
/** One's devices. */
export interface Devices {
  /** Those that are logged in, the one seen last first. */
  list(options?: Wait): Promise<readonly Device[]>;
  rename(device: DeviceId, name: string, options?: Wait): Promise<void>;
  /** Logs one out; its links end within a second. */
  logOut(device: DeviceId, options?: Wait): Promise<void>;
  /** Logs all but this one out. Fulfilled with which. */
  logOutOthers(options?: Wait): Promise<readonly DeviceId[]>;
  /** Registers a Web Push subscription for this device. `client.push` does that and the rest of it. */
  registerPush(subscription: PushSubscription | PushSubscriptionJSON, options?: Wait): Promise<void>;
  /** Takes it back. */
  unregisterPush(subscription: PushSubscription | PushSubscriptionJSON, options?: Wait): Promise<void>;
}

/**
 * Web Push: being told of messages while no tab is open, by the app's service worker. The server pushes while the user has
 * no device online at which somebody is. What it pushes is in the protocol's page; `push-worker.js` is for the worker.
 */
export interface Push {
  /**
   * Subscribes this browser and registers the subscription for this device. Ask for the permission to notify before, and call
   * it at each start of the app too, for subscriptions change. False: the server does not push to browsers. `unsupported`: the
   * browser does not let this page subscribe, or can't.
   */
  turnOn(worker: ServiceWorkerRegistration, options?: Wait): Promise<boolean>;
  /**
   * Ends the subscription, in the browser and on the server. Also for after logging out; then, and offline, the server finds
   * out by itself that nothing is there any more.
   */
  turnOff(worker: ServiceWorkerRegistration, options?: Wait): Promise<void>;
}

/** One's own profile. */
export interface Profile extends User {
  /** Such as `ko-KR`; empty if not said. */
  readonly locale: string;
  /** Such as `Asia/Seoul`; empty if not said. For oneself and quiet hours only. */
  readonly timeZone: string;
}
/** What changes; what is left out stays. */
export interface ProfileChange {
  displayName?: string;
  bio?: string;
  statusText?: string;
  picture?: MediaId | null;
  locale?: string;
  timeZone?: string;
}
/** Who may. */
export type Audience = "everyone" | "friends" | "nobody";
/** Hours in which nothing notifies, in the profile's time zone. */
export interface QuietHours {
  /** Minute of the day, below 1,440. */
  readonly fromMinute: number;
  /** Before `fromMinute`: on the next day. */
  readonly toMinute: number;
  /** The days on which they begin: bit 0 is Monday, bit 6 is Sunday. */
  readonly days: number;
}
/** One's settings. */
export interface Settings {
  /** Whether a push shows the text. */
  readonly pushPreview: boolean;
  readonly quietHours: QuietHours | null;
  /** Whether all others are told that one is offline. */
  readonly appearOffline: boolean;
  readonly findByHandle: Audience;
  readonly friendRequestsFrom: Audience;
  readonly directFrom: Audience;
  readonly invitesFrom: Audience;
}

/** One's own profile and settings. */
export interface Me {
  profile(options?: Wait): Promise<Profile>;
  changeProfile(change: ProfileChange, options?: Wait): Promise<Profile>;
  settings(options?: Wait): Promise<Settings>;
  changeSettings(change: Partial<Settings>, options?: Wait): Promise<Settings>;
}

/** The version of this package. */
export const VERSION: string;
