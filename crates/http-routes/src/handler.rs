use crate::{Allowed, Answers, Description, Takes};
use api::Permission;
use api::permission::PermissionInfo;

/// A handler of axum that says by its signature what its route is.
pub trait Handler<T, S>: axum::handler::Handler<T, S> {
    /// The permission that it asks for.
    fn permission() -> PermissionInfo;

    /// Says what it takes and answers.
    fn describe(description: &mut Description);
}

macro_rules! handlers {
    ($($taken:ident)*) => {
        // `Last` is how axum tells a handler that takes the whole request last from one that does not.
        impl<F, Answering, Answered, S, Last, P, $($taken),*> Handler<(Last, Allowed<P>, $($taken,)*), S> for F
        where
            F: Fn(Allowed<P>, $($taken),*) -> Answering
                + axum::handler::Handler<(Last, Allowed<P>, $($taken,)*), S>,
            Answering: Future<Output = Answered>,
            Answered: Answers,
            P: Permission,
            $($taken: Takes,)*
        {
            fn permission() -> PermissionInfo {
                PermissionInfo::of::<P>()
            }

            fn describe(description: &mut Description) {
                let _ = &description;
                $($taken::describe(description);)*
                Answered::describe(description);
            }
        }
    };
}

handlers! {}
handlers! { A }
handlers! { A B }
handlers! { A B C }
handlers! { A B C D }
handlers! { A B C D E }
handlers! { A B C D E G }
handlers! { A B C D E G H }
