//! Wire conventions: how the objects, lists, bodies and errors of an API family look. A dialect is code for a family;
//! what differs between APIs of one family is data in their descriptions.

mod apply;
mod beyond;
mod body;
mod codec;
pub mod odata;
mod rollout;
mod row;

pub use apply::{Update, apply_body, named, resource_body, updates};
pub use beyond::{beside, compared, container, has_beyond, is_mask, returns};
pub use body::{BulkRow, Embedded, bulk_body, bulk_delete_body, create_body, update_body};
pub use codec::{EncodeError, Encoder, ReadFile, decode, encode_fields, encode_value};
pub use rollout::{Phase, Rollout};
pub use row::{
    Decoded, Mismatch, Page, attribute, decode_row, entries, error_text, errors_in_success, fill_omitted, has_no_rows,
    id_of, is_absence, is_conflict, keyless, located, made_at, one, page, read_from, revision_of, row_id, slim,
    stamp_of, wire_condition,
};
