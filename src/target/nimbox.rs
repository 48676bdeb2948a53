//! nimbox
