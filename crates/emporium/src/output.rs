//! `println!` and `print!` of this crate: those of the standard library panic when the reader of a pipe has gone.

macro_rules! print {
    ($($text:tt)*) => {
        ::http_boundary::output::print(::std::format_args!($($text)*))
    };
}

macro_rules! println {
    () => {
        ::http_boundary::output::print(::std::format_args!("\n"))
    };
    ($($text:tt)*) => {
        ::http_boundary::output::print(::std::format_args!("{}\n", ::std::format_args!($($text)*)))
    };
}
