//! A few connections for reading, handed out one caller at a time.

use std::{
    path::PathBuf,
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use rusqlite::Connection;

use super::{SqliteError, open};

/// Connections open at once. A reader more waits for one of them.
const MOST: usize = 4;

/// Opens connections as they are needed.
pub(super) struct Readers {
    path: PathBuf,
    shelf: Mutex<Shelf>,
    returned: Condvar,
}

#[derive(Default)]
struct Shelf {
    idle: Vec<Connection>,
    lent: usize,
    closed: bool,
}

impl Readers {
    pub(super) fn new(path: PathBuf) -> Self {
        Self {
            path,
            shelf: Mutex::default(),
            returned: Condvar::new(),
        }
    }

    /// Runs `query` on one consistent state. Blocks while all connections are lent.
    pub(super) fn read<T>(
        &self,
        query: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, SqliteError> {
        let loan = self.borrow()?;
        // Held open by `borrow` until the loan is dropped, whatever `query` does.
        let Some(conn) = &loan.conn else {
            return Err(SqliteError::Stopping);
        };
        let tx = conn.unchecked_transaction()?;
        Ok(query(&tx)?)
    }

    /// Takes no more readers, and closes what is idle; lent connections close when they come back.
    pub(super) fn close(&self) {
        let mut shelf = self.lock();
        shelf.closed = true;
        shelf.idle.clear();
        self.returned.notify_all();
    }

    fn borrow(&self) -> Result<Loan<'_>, SqliteError> {
        let mut shelf = self.lock();
        loop {
            if shelf.closed {
                return Err(SqliteError::Stopping);
            }
            if let Some(conn) = shelf.idle.pop() {
                shelf.lent += 1;
                return Ok(Loan {
                    readers: self,
                    conn: Some(conn),
                });
            }
            if shelf.lent < MOST {
                shelf.lent += 1;
                drop(shelf);
                // The loan exists before the connection, so that a failure gives the place back.
                let mut loan = Loan {
                    readers: self,
                    conn: None,
                };
                loan.conn = Some(open::reader(&self.path)?);
                return Ok(loan);
            }
            shelf = self.returned.wait(shelf).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Loan<'a> {
    readers: &'a Readers,
    conn: Option<Connection>,
}

impl Drop for Loan<'_> {
    fn drop(&mut self) {
        let mut shelf = self.readers.lock();
        shelf.lent -= 1;
        if let Some(conn) = self.conn.take().filter(|_| !shelf.closed) {
            shelf.idle.push(conn);
        }
        self.readers.returned.notify_one();
    }
}
