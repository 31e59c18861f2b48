"""Tools of the checkout: pinned helm and kubectl, a cache, and the generator of files."""
