//! The pool's get and put, each as one function, so that their machine code can be looked at.
//!
//! `cargo xtask machine-code` disassembles `tailcut_fast_get` and `tailcut_fast_put` of the
//! release build, shows the path on which a magazine serves, and fails if there is a call or a
//! lock prefix on it. Run on its own, this program takes an object and gives it back.

use tailcut_pool::{AsIs, Guard, Pool};

type Object = [u64; 32];

/// Takes an object; aborts if there is none, so that every return is a success.
// SAFETY: no other symbol of this program has that name.
#[unsafe(no_mangle)]
#[inline(never)]
pub fn tailcut_fast_get(pool: &Pool<Object, AsIs>) -> Guard<'_, Object> {
    pool.try_get().unwrap_or_else(|_| std::process::abort())
}

/// Gives it back.
// SAFETY: no other symbol of this program has that name.
#[unsafe(no_mangle)]
#[inline(never)]
pub fn tailcut_fast_put(guard: Guard<'_, Object>) {
    drop(guard);
}

fn main() -> Result<(), tailcut_pool::BuildError> {
    let pool = Pool::builder(|| [0; 32])
        .keep_as_is()
        .capacity(64)
        .build()?;
    for _ in 0..1000 {
        tailcut_fast_put(tailcut_fast_get(&pool));
    }
    println!("path: {}", pool.path());
    Ok(())
}
