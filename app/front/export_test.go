package front

// Unsent is what a holder's page reads of the journal.
var Unsent = unsent
