package store

// ByNumber is for a test that asks the engines how they look for it.
const ByNumber = byNumber
