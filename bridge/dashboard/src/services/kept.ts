/** Where a tab keeps its session: the token, in sessionStorage. */
export const TOKEN_KEY = 'holdfast.token';
