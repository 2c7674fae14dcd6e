//! Where manifests come from: files, folders, standard input → Snapshot.
