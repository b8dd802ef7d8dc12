//! Framed TCP connections that count every byte the kernel took
