package holder

// SourceOf is for the test of how it is looked for.
const SourceOf = sourceOf
