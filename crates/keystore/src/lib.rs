//! Keys and the protection of card data at rest
