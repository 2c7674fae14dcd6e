//! Wire conventions: how objects, lists and errors of an API family look.
