type GrantErrorCode = 'invalid_request' | 'invalid_grant' | 'unsupported_grant_type'
/** The error of RFC 6749 §5.2. */
export const grantError = <Code extends GrantErrorCode>(
  error: Code,
  error_description: string,
) => ({
  error,
  error_description,
})

/** The members of the form, or the error of RFC 6749 §5.2. A parameter must not be repeated (§3.2). */
export const parseGrant = (form: URLSearchParams | undefined) => {
  const only = (name: string) => {
    const [value, ...more] = form?.getAll(name) ?? []
    return more.length === 0 && value !== undefined && value !== '' ? value : undefined
  }

  const grantType = only('grant_type')
  if (grantType === undefined) return grantError('invalid_request', 'grant_type is required, once')
  if (grantType === 'refresh_token') {
    const refreshToken = only('refresh_token')
    return refreshToken === undefined
      ? grantError('invalid_request', 'refresh_token is required, once')
      : { refreshToken }
  }
  if (grantType !== 'password')
    return grantError('unsupported_grant_type', 'grant_type must be password or refresh_token')

  const email = only('username')
  const password = only('password')
  if (email === undefined || password === undefined)
    return grantError('invalid_request', 'username and password are required, once each')
  if ([email, password].some((text) => text.includes('\0')) || [...password].length > 128)
    return grantError('invalid_request', 'username or password is invalid')
  return { email, password }
}
