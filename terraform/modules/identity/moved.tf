# Before version 0.2.0, a stack always had a user pool of its own.

moved {
  from = aws_cognito_user_pool.this
  to   = aws_cognito_user_pool.this[0]
}

moved {
  from = aws_cognito_user_pool_domain.this
  to   = aws_cognito_user_pool_domain.this[0]
}
