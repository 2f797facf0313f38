//! A queue of bytes in a temporary file: the writer never waits for the reader.
//!
//! The file has no name, so that it disappears with the process. It is used as a ring: its size is
//! limited by how far the writer is ahead, not by the number of bytes written.

use std::fs::{File, OpenOptions, remove_file};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use uuid::Uuid;

/// Maximum number of bytes that are read at once.
const READ_BYTES: u64 = 64 * 1024;

/// Errors of a spool.
#[derive(Debug, thiserror::Error)]
pub enum SpoolError {
    /// The reader is too far behind.
    #[error("the client is {0} bytes behind")]
    Full(u64),
    /// The reader was dropped.
    #[error("the client has disconnected")]
    Closed,
    /// The writer was dropped before it had finished.
    #[error("the writer has stopped")]
    Incomplete,
    /// The temporary file cannot be used.
    #[error("temporary file: {0}")]
    Io(#[from] io::Error),
}

/// Creates a spool whose writer can be `capacity` bytes ahead of its reader.
///
/// # Errors
/// When the temporary file cannot be created in the system's folder for such files.
pub fn create(capacity: u64) -> io::Result<(SpoolWriter, SpoolReader)> {
    let file =
        Arc::new(RingFile { file: create_unnamed_file()?, capacity, read: AtomicU64::new(0) });
    let (sender, receiver) = watch::channel(Written::default());
    let writer = SpoolWriter { file: file.clone(), written: sender };
    Ok((writer, SpoolReader { file, written: receiver, position: 0 }))
}

fn create_unnamed_file() -> io::Result<File> {
    let path = std::env::temp_dir().join(format!("plant-spool-{}", Uuid::new_v4()));
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create_new(true).mode(0o600).open(&path)?;
    remove_file(path)?;
    Ok(file)
}

/// The file. Byte *n* of the queue is at offset *n* modulo `capacity`.
#[derive(Debug)]
struct RingFile {
    file: File,
    capacity: u64,
    /// Number of bytes that were read.
    read: AtomicU64,
}

impl RingFile {
    /// Returns the number of bytes from `position` to the end of the file.
    fn until_wrap(&self, position: u64) -> u64 {
        self.capacity - position % self.capacity
    }
}

/// What the writer has done.
#[derive(Debug, Clone, Copy, Default)]
struct Written {
    bytes: u64,
    finished: bool,
}

/// The writing end. The reader gets an error unless the writer finishes.
#[derive(Debug)]
pub struct SpoolWriter {
    file: Arc<RingFile>,
    written: watch::Sender<Written>,
}

impl SpoolWriter {
    /// Appends `bytes`; blocks the thread for as long as the file system does.
    ///
    /// # Errors
    /// [`SpoolError::Full`], [`SpoolError::Closed`] or [`SpoolError::Io`].
    pub fn write(&self, bytes: &[u8]) -> Result<(), SpoolError> {
        let position = self.written.borrow().bytes;
        let end = position + bytes.len() as u64;
        let behind = end - self.file.read.load(Ordering::Acquire);
        if behind > self.file.capacity {
            return Err(SpoolError::Full(behind));
        }
        if self.written.is_closed() {
            return Err(SpoolError::Closed);
        }
        let until_wrap = usize::try_from(self.file.until_wrap(position)).unwrap_or(usize::MAX);
        let (first, wrapped) = bytes.split_at(bytes.len().min(until_wrap));
        self.file.file.write_all_at(first, position % self.file.capacity)?;
        self.file.file.write_all_at(wrapped, 0)?;
        self.written.send_modify(|written| written.bytes = end);
        Ok(())
    }

    /// Marks the queue as complete.
    pub fn finish(self) {
        self.written.send_modify(|written| written.finished = true);
    }
}

/// The reading end.
#[derive(Debug)]
pub struct SpoolReader {
    file: Arc<RingFile>,
    written: watch::Receiver<Written>,
    position: u64,
}

impl SpoolReader {
    /// Waits for and returns the next bytes; `None` at the end.
    ///
    /// # Errors
    /// [`SpoolError::Incomplete`] or [`SpoolError::Io`].
    pub async fn next(&mut self) -> Result<Option<Bytes>, SpoolError> {
        loop {
            let Written { bytes, finished } = *self.written.borrow_and_update();
            let available = bytes - self.position;
            if available > 0 {
                return self.read(available.min(READ_BYTES)).await.map(Some);
            }
            if finished {
                return Ok(None);
            }
            self.written.changed().await.map_err(|_| SpoolError::Incomplete)?;
        }
    }

    /// Reads at most `length` bytes, which are written.
    async fn read(&mut self, length: u64) -> Result<Bytes, SpoolError> {
        let (file, position) = (self.file.clone(), self.position);
        let length = length.min(file.until_wrap(position));
        let bytes = spawn_blocking(move || {
            let mut bytes = vec![0; usize::try_from(length).unwrap_or_default()];
            file.file.read_exact_at(&mut bytes, position % file.capacity)?;
            io::Result::Ok(bytes)
        })
        .await
        .map_err(io::Error::other)??;
        self.position += length;
        self.file.read.store(self.position, Ordering::Release);
        Ok(bytes.into())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Returns the numbers from 0, one per byte.
    fn numbers(from: u64, length: u64) -> Vec<u8> {
        (from..from + length).map(|n| (n % 251) as u8).collect()
    }

    #[tokio::test]
    async fn a_reader_waits_for_the_writer_and_gets_all_bytes() {
        let (writer, mut reader) = create(1 << 20).unwrap();
        let read = tokio::spawn(async move {
            let mut all = Vec::new();
            while let Some(bytes) = reader.next().await.unwrap() {
                all.extend(bytes);
            }
            all
        });
        for n in 0..30 {
            writer.write(&numbers(n * 30_000, 30_000)).unwrap();
            tokio::task::yield_now().await;
        }
        writer.finish();
        assert_eq!(read.await.unwrap(), numbers(0, 900_000));
    }

    #[tokio::test]
    async fn a_writer_that_is_too_far_ahead_gets_an_error() {
        let (writer, mut reader) = create(100).unwrap();
        writer.write(&numbers(0, 60)).unwrap();
        writer.write(&numbers(60, 40)).unwrap();
        assert!(matches!(writer.write(&[0]), Err(SpoolError::Full(101))));
        assert_eq!(reader.next().await.unwrap().unwrap(), numbers(0, 100));
        writer.write(&[0]).unwrap();
    }

    #[tokio::test]
    async fn a_reader_gets_an_error_if_the_writer_stops_early() {
        let (writer, mut reader) = create(100).unwrap();
        writer.write(&[1, 2]).unwrap();
        drop(writer);
        assert_eq!(reader.next().await.unwrap().unwrap(), [1, 2][..]);
        assert!(matches!(reader.next().await, Err(SpoolError::Incomplete)));
    }

    #[test]
    fn a_writer_gets_an_error_if_the_reader_is_gone() {
        let (writer, reader) = create(100).unwrap();
        drop(reader);
        assert!(matches!(writer.write(&[1]), Err(SpoolError::Closed)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]

        #[test]
        fn the_file_is_reused_without_loss(
            capacity in 1u64..300, steps in prop::collection::vec(1u64..200, 0..40),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let (writer, mut reader) = create(capacity).unwrap();
                let (mut written, mut read) = (0, 0);
                for length in steps {
                    let fits = written - read + length <= capacity;
                    let result = writer.write(&numbers(written, length));
                    assert_eq!(result.is_ok(), fits);
                    if fits {
                        written += length;
                    } else if read < written {
                        let bytes = reader.next().await.unwrap().unwrap();
                        assert_eq!(bytes, numbers(read, bytes.len() as u64));
                        read += bytes.len() as u64;
                    }
                }
                assert!(reader.file.file.metadata().unwrap().len() <= capacity);
            });
        }
    }
}
