//! What the tests of this folder share. The fuzz targets include `targets.rs` on its own.
#![allow(dead_code, unused_macros, unused_imports, reason = "each test uses a part")]

pub(crate) mod seeds;
pub(crate) mod strategies;
pub(crate) mod targets;

/// Calls `$do!(F)` for every enum of the wire: those that are frames, then those embedded in them.
macro_rules! for_every_enum {
    ($do:ident) => {
        $crate::support::for_every_frame!($do);
        $do!(suda_schema::channel::Op);
        $do!(suda_schema::entry::Body);
        $do!(suda_schema::entry::What);
        $do!(suda_schema::event::UserEvent);
    };
}
macro_rules! for_every_frame {
    ($do:ident) => {
        $do!(suda_schema::open::Open);
        $do!(suda_schema::control::ControlUp);
        $do!(suda_schema::control::ControlDown);
        $do!(suda_schema::channel::ChannelUp);
        $do!(suda_schema::channel::ChannelDown);
        $do!(suda_schema::channel::DatagramUp);
        $do!(suda_schema::channel::DatagramDown);
    };
}
/// Calls the function `check::<F>()` that the test has defined, likewise.
macro_rules! check {
    ($frame:ty) => {
        check::<$frame>()
    };
}
pub(crate) use {check, for_every_enum, for_every_frame};
