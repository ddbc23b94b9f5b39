//! The types whose JSON form is not what their Rust form suggests, as OpenAPI schemas.

use std::borrow::Cow;

use utoipa::openapi::schema::{Object, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::error::ERRORS;
use crate::{ChannelId, ClientMsgId, DeviceId, ErrorCode, MediaId, Seq, UserId};

fn object(kind: Type, description: &str) -> ObjectBuilder {
    Object::builder().schema_type(SchemaType::Type(kind)).description(Some(description))
}

macro_rules! named {
    ($($name:ident: $schema:expr;)+) => { $(
        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                RefOr::T(Schema::Object($schema.build()))
            }
        }
        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    )+ };
}

fn id(description: &str) -> ObjectBuilder {
    object(Type::String, description).pattern(Some("^[0-9]{1,20}$")).examples(["158425790374981632"])
}

named! {
    UserId: id("An account, as a string of digits.");
    ChannelId: id("A conversation, as a string of digits.");
    DeviceId: id("One login of a user, as a string of digits.");
    MediaId: id("A stored picture or file, as a string of digits.");
    Seq: object(Type::Integer, "The place of an entry in a log: 1, 2, 3 … As a cursor, 0 means before the first.")
        .minimum(Some(0));
    ClientMsgId: object(Type::String, "A UUID made by the client, the same on every retry.")
        .examples(["67e55044-10b1-426f-9247-bb680e5fe0c8"]);
    ErrorCode: object(Type::String, "Which error. New ones may come; see the table in docs/protocol.md.")
        .enum_values(Some(ERRORS.iter().map(|row| row.name)));
}
