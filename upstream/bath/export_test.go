package bath

// Broken is Verify within a transaction.
var Broken = findBroken
