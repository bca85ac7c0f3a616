"""What an experiment has to say, in sentences, pictures and a page to print."""
