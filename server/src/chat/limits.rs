//! What the operator allows. The wire's own limits are in `suda_schema::limits`.

/// How many of everything there may be, and how long; each can be set in the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChatLimits {
    /// Members of a group.
    pub group_members_max: u32,
    /// Members of a broadcast channel.
    pub broadcast_members_max: u32,
    /// Channels that one user is a member of.
    pub channels_per_user_max: u32,
    /// Members up to which a channel's members see how far the others have read, and live views are told of it.
    pub marks_members_max: u32,
    /// Whether the push outbox is written. Only where a worker takes its rows: else it grows for ever.
    pub push_outbox: bool,
    /// Devices of one user. At the limit a new login removes the one that was seen least recently.
    pub devices_per_user_max: usize,
    /// Push tokens of one device.
    pub push_tokens_per_device_max: usize,
    /// Friends of one user.
    pub friends_max: u32,
    /// Friend requests of one user that wait for an answer, each way.
    pub friend_requests_max: u32,
    /// Users that one user has blocked.
    pub blocks_max: u32,
    /// Users whose presence one user is told of without asking.
    pub presence_watched_max: usize,
}

impl Default for ChatLimits {
    fn default() -> Self {
        Self {
            group_members_max: 100,
            broadcast_members_max: 100_000,
            channels_per_user_max: 5_000,
            marks_members_max: 200,
            push_outbox: false,
            devices_per_user_max: 32,
            push_tokens_per_device_max: 4,
            friends_max: 5_000,
            friend_requests_max: 500,
            blocks_max: 5_000,
            presence_watched_max: 2_000,
        }
    }
}
